"""Hooks of the plugin. Implement them in a ``conftest.py`` or in a plugin of your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.job import Target
    from harness.protocols import Engine, Trainer
    from harness.types import Verdict


@pytest.hookspec(firstresult=True)
def pytest_ft_trainer(config: pytest.Config) -> Trainer | None:
    """Return what trains the adapter instead of the harness's own training (see ``harness.protocols.Trainer``).

    What is returned is called only when no adapter in the cache matches config and data. Return None to
    leave the choice to the next implementation.
    """


@pytest.hookspec(firstresult=True)
def pytest_ft_engine(config: pytest.Config, target: Target) -> Engine | None:
    """Return the engine that serves ``target`` instead of the harness's own (see ``harness.protocols.Engine``).

    Return it unstarted: on a warm run only its ``identity`` is asked for. Called once per session,
    in the controller under xdist. Return None to leave the choice to the next implementation.
    """


@pytest.hookspec()
def pytest_ft_run_finished(config: pytest.Config, run_id: str, folder: Path, verdicts: Sequence[Verdict]) -> None:
    """Called once at the end of a run that tested a model, after its reports were written to ``folder``."""
