"""One item's case: what parametrisation hands from collection to the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.types import Case, Generation

SESSION = pytest.StashKey[pytest.Session]()
CASE = "case"
GENERATION = "generation"
MODEL_FIXTURES = frozenset({"generation", "engine", "adapter", "run"})
"""Fixtures that need a model (or replies made elsewhere)."""


class Trial:
    """One case in one repeat. Tests over the same cases share their trials."""

    __slots__ = ("case", "key", "recorded", "repeat")

    def __init__(self, case: Case, repeat: int = 0, recorded: Generation | None = None) -> None:
        """``repeat`` counts from 0; ``recorded`` is the reply a replayed failure brings along."""
        self.case = case
        self.repeat = repeat
        self.recorded = recorded
        self.key: str | None = None
        """Content key of the reply, once the model is known."""

    @property
    def label(self) -> str:
        """The id between a node id's brackets: the case's own, with ``@k`` from the second repeat on."""
        return self.case.id if self.repeat == 0 else f"{self.case.id}@{self.repeat + 1}"


def trial_of(item: pytest.Item) -> Trial | None:
    """Return the trial an item was parametrised with, if it has one."""
    callspec = getattr(item, "callspec", None)
    trial = callspec.params.get(CASE) if callspec is not None else None
    return trial if isinstance(trial, Trial) else None
