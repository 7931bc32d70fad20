"""Eval-driven fine-tuning: train an adapter, serve it, hold it against a pytest suite."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("ft-harness")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
