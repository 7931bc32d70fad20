"""Hooks around the running of items: from pytest's reports to recorded verdicts."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import EngineError, Unscored
from pytest_ftplugin.trial import trial_of
from pytest_ftplugin.verdicts import note_phase, verdict_data

if TYPE_CHECKING:
    from pytest_ftplugin.session import State

VERDICT = "ft_verdict"
"""Attribute of the teardown report that carries the verdict, also from xdist workers."""
UNSCORED = "ft_unscored"
ENGINE_FAILED = "ft_engine_failed"


class Reports:
    """Makes a verdict of every item with a case; records those that arrive in this process."""

    def __init__(self, state: State) -> None:
        """Record into ``state``'s run."""
        self._state = state

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note each phase of an item; attach the verdict to the last one's report."""
        trial = trial_of(item)
        replies = self._state.replies
        if trial is None or replies is None:
            return (yield)
        if call.when == "setup":
            item.user_properties += [("case", trial.case.id), ("run", replies.run.id)]  # before the report copies them
        report = yield
        if call.excinfo is not None and isinstance(call.excinfo.value, Unscored):
            report.outcome = "skipped"
            setattr(report, UNSCORED, True)
        elif call.excinfo is not None and type(call.excinfo.value) is EngineError:
            setattr(report, ENGINE_FAILED, True)
        note_phase(item, call, report)
        if call.when == "teardown":
            setattr(report, VERDICT, verdict_data(item, trial, replies.run.id))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show unscored items as a category of their own."""
        return ("unscored", "u", "UNSCORED") if getattr(report, UNSCORED, False) else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the verdict of a finished item."""
        if getattr(report, ENGINE_FAILED, False):
            self._state.engine_failed = True
        data: dict[str, Any] | None = getattr(report, VERDICT, None)
        if data is not None and self._state.role != "worker":
            from harness.types import Verdict

            self._state.take(Verdict.from_json(data))


class OneAttempt:
    """Runs items with a case once, whatever pytest-rerunfailures was told.

    Running an item again until it passes would make every model pass; ``--ft-repeats`` asks for a
    number of replies that is fixed beforehand.
    """

    def __init__(self, state: State) -> None:
        """Watch for the plugin in ``state``'s session."""
        self._plugins = state.pytest_config.pluginmanager

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run an item with a case as pytest itself does."""
        if not self._plugins.has_plugin("rerunfailures") or trial_of(item) is None:
            return None
        from _pytest.runner import runtestprotocol

        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        runtestprotocol(item, nextitem=nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True
