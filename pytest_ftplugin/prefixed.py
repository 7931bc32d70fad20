"""The plugin under option names that all begin with ``--ft-``, for projects that use the others themselves.

To be named in the ini file: ``addopts = -p no:ftplugin -p pytest_ftplugin.prefixed``.
"""

from __future__ import annotations

import pytest

from pytest_ftplugin import (
    adapter,
    case,
    engine,
    generation,
    pytest_addhooks,
    pytest_configure,
    pytest_configure_node,
    pytest_generate_tests,
    pytest_sessionstart,
    run,
)
from pytest_ftplugin.options import add_options

__all__ = [
    "adapter",
    "case",
    "engine",
    "generation",
    "pytest_addhooks",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_sessionstart",
    "run",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options under their second names."""
    add_options(parser, short=False)
