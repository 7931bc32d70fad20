"""Training: an adapter from encoded rows, in a child process."""

from harness.training.job import LoraSpec, OptimSpec, TrainJob

__all__ = ["LoraSpec", "OptimSpec", "TrainJob"]
