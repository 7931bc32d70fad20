"""From pytest's reports of one item to one verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import EngineError, HarnessError, Unscored
from pytest_ftplugin.trial import Trial

if TYPE_CHECKING:
    from harness.types import Outcome

UNMARKED = frozenset(
    {
        "cases",
        "grammar",
        "tags",
        "parametrize",
        "usefixtures",
        "filterwarnings",
        "xdist_group",
        "skip",
        "skipif",
        "xfail",
    }
)
"""Marks that say how a test runs, not what kind of check it is: left out of verdicts."""
REASON_LENGTH = 2000


class RequestRefused(EngineError):
    """The engine is well, but did not answer this one request."""


class Tally:
    """What the phases of one item have come to so far."""

    __slots__ = ("outcome", "reason", "seconds")

    def __init__(self) -> None:
        """An item that no phase has failed passes."""
        self.outcome: Outcome = "pass"
        self.reason = ""
        self.seconds = 0.0


TALLY = pytest.StashKey[Tally]()


def _outcome(raised: BaseException, when: str) -> Outcome:
    """Return what an exception says of the reply; an expected failure (xfail) is a failure all the same."""
    if isinstance(raised, Unscored | pytest.skip.Exception):
        return "unscored"
    if isinstance(raised, pytest.xfail.Exception):
        return "fail" if when == "call" else "unscored"
    return "error" if when != "call" or isinstance(raised, HarnessError) else "fail"


def _reason(report: pytest.TestReport, raised: BaseException) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else raised)[:REASON_LENGTH]


def note_phase(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Take one phase of an item into its tally; the first phase that raised decides."""
    if call.when == "setup":
        item.stash[TALLY] = Tally()  # anew for each time an item is run
    tally = item.stash[TALLY]
    if call.when == "call":
        tally.seconds = call.duration
    if call.excinfo is not None and tally.outcome == "pass":
        tally.outcome = _outcome(call.excinfo.value, call.when)
        tally.reason = _reason(report, call.excinfo.value)


def _traits(item: pytest.Item) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """Return the test's name without parameters, its marks, and the tags of its ``tags`` marks."""
    marks: list[str] = []
    tags: dict[str, str] = {}
    for mark in item.iter_markers():
        if mark.name == "tags":
            tags = {**{key: str(value) for key, value in mark.kwargs.items()}, **tags}
        elif mark.name not in UNMARKED and mark.name not in marks:
            marks.append(mark.name)
    return item.nodeid.partition("[")[0], tuple(marks), tags


def verdict_data(item: pytest.Item, trial: Trial, run_id: str) -> dict[str, Any]:
    """Return the item's verdict as JSON data, which is what travels from an xdist worker."""
    tally = item.stash[TALLY]
    test, marks, tags = _traits(item)
    return {
        "run": run_id,
        "nodeid": item.nodeid,
        "test": test,
        "case_id": trial.case.id,
        "suite": trial.case.suite,
        "outcome": tally.outcome,
        "generation_key": trial.key,
        "marks": marks,
        "tags": tags,
        "cluster": trial.case.cluster,
        "repeat": trial.repeat,
        "score": None,
        "reason": tally.reason,
        "seconds": tally.seconds,
    }
