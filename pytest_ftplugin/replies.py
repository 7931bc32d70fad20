"""Where a test's reply comes from: the controller's run, a worker's view of it, or a recorded failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_ftplugin.trial import Trial

if TYPE_CHECKING:
    from harness.job import KeyContext
    from harness.store import RunStore
    from harness.types import Adapter, Case, DecodeMode, Generation


@dataclass(frozen=True)
class Run:
    """The run a test belongs to (fixture ``run``)."""

    id: str
    folder: Path
    label: str
    """A short name of the model under test."""
    mode: DecodeMode
    adapter: Adapter | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Run:
        """Read what :func:`harness.types.to_json` wrote."""
        from harness.types import Adapter

        adapter = Adapter.from_json(data["adapter"]) if data["adapter"] else None
        return cls(**{**data, "folder": Path(data["folder"]), "adapter": adapter})


class Replies(Protocol):
    """What tests read from once the prefetch is done."""

    @property
    def run(self) -> Run:
        """The run the replies belong to."""

    def generation(self, trial: Trial) -> Generation:
        """Return the stored reply to a trial; its ``error`` is set where there is none to judge."""

    def ask(self, case: Case, repeat: int) -> Generation:
        """Return one reply more, from the store or from the engine."""


READ_AHEAD = 128
"""One query for so many replies costs little more than one for a single reply."""

Ask = Callable[["Case", int], "Generation"]


class StoredReplies:
    """Replies of the run store, by content key; new ones through ``ask``."""

    def __init__(self, run: Run, store: RunStore, keys: KeyContext, ask: Ask, expected: Sequence[Trial] = ()) -> None:
        """``ask`` is the job's own in the controller, and a line to the controller in a worker.

        ``expected`` are the trials in the order in which tests will probably read them, keys noted.
        """
        self.run = run
        self._store = store
        self._keys = keys
        self._ask = ask
        self._expected = expected
        self._places = {trial.key: place for place, trial in enumerate(expected)}
        self._ahead: dict[str, Generation] = {}

    def key(self, trial: Trial) -> str:
        """Return (and note on the trial) the key of its reply."""
        if trial.key is None:
            trial.key = self._keys.key(trial.case, trial.repeat)
        return trial.key

    def generation(self, trial: Trial) -> Generation:
        """Return the stored reply to ``trial``.

        Raises:
            EngineError: there is none.
        """
        key = self.key(trial)
        if key not in self._ahead:
            place = self._places.get(key)
            upcoming = [] if place is None else self._expected[place : place + READ_AHEAD]
            self._ahead = self._store.generations([key, *(self.key(next_one) for next_one in upcoming)])
        found = self._ahead.get(key)
        if found is None:
            from harness.errors import EngineError

            raise EngineError(f"no reply to case {trial.case.id!r} was stored: the engine never answered this request")
        return found

    def ask(self, case: Case, repeat: int) -> Generation:
        """Return one reply more."""
        return self._ask(case, repeat)


class RecordedReplies:
    """Replies that failures brought along (``--ft-replay``)."""

    def __init__(self, run: Run) -> None:
        """Hold nothing: each trial carries its own reply."""
        self.run = run

    def generation(self, trial: Trial) -> Generation:
        """Return the recorded reply.

        Raises:
            EngineError: the failure was recorded without one.
        """
        if trial.recorded is None:
            from harness.errors import EngineError

            raise EngineError(
                f"the failure of case {trial.case.id!r} was recorded without a reply: the engine failed it"
            )
        trial.key = trial.recorded.key
        return trial.recorded

    def ask(self, case: Case, repeat: int) -> Generation:
        """Skip the test: there is no model, so what it would have said is not known."""
        pytest.skip(f"a replay has no model to ask for one reply more (case {Trial(case, repeat).label!r})")
