"""pytest plugin: train a model, serve it, and test its replies, case by case.

This module is loaded in every pytest session of the environment, so it only declares: options, marks
and fixtures. Everything else is imported when an option or a mark of ours is met.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ftplugin.fixtures import adapter, case, engine, generation, run
from pytest_ftplugin.options import OPTIONS, add_marks, add_options, clash
from pytest_ftplugin.trial import SESSION

if TYPE_CHECKING:
    from pytest_ftplugin.session import State

__all__ = ["adapter", "case", "engine", "generation", "run"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, object, object]:
    """Say in plain words that a conftest adds an option of ours."""
    try:
        return (yield)
    except argparse.ArgumentError as error:
        if said := clash(error):
            raise pytest.UsageError(said) from None
        raise


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that a conftest may implement."""
    from pytest_ftplugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Add the marks; check our options if the command line or the ini file has any."""
    add_marks(config)
    if any(getattr(config.option, option.dest) or (option.ini and config.getini(option.ini)) for option in OPTIONS):
        state = _state(config)
        if state.settings.explicit and state.role != "worker":
            state.check()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remember the session, which the hooks of xdist do not pass."""
    session.config.stash[SESSION] = session


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker where to meet the controller."""
    from pytest_ftplugin.xdist import hand_over

    hand_over(_state(node.config), node)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item per case of tests that have cases."""
    mark = metafunc.definition.get_closest_marker("cases")
    if mark is not None:
        from pytest_ftplugin.collection import parametrize

        parametrize(metafunc, mark, _state(metafunc.config))


def _state(config: pytest.Config) -> State:
    from pytest_ftplugin.session import state_of

    return state_of(config)
