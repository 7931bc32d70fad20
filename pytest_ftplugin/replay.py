"""``--ft-replay``: recorded failures, run again without the model they came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_ftplugin.collection import parameter_sets
from pytest_ftplugin.trial import Trial

if TYPE_CHECKING:
    from harness.types import Failure

_NEXT = "give the failures.jsonl of a run, as in --ft-replay reports/RUN/failures.jsonl"


class Replay:
    """The failures of one file, by the node ids that they belong to."""

    def __init__(self, path: Path, failures: Sequence[Failure]) -> None:
        """Use :meth:`read`."""
        self.path = path
        self.nodeids = frozenset(failure.verdict.nodeid for failure in failures)
        self._by_test: dict[str, dict[tuple[str, int], Trial]] = {}
        trials: dict[Any, Trial] = {}
        for failure in failures:
            verdict, case = failure.verdict, failure.case
            place = (case.id, verdict.repeat)
            key = (case.suite, place, failure.generation.key if failure.generation else None)
            trial = trials.setdefault(key, Trial(case, verdict.repeat, failure.generation))
            self._by_test.setdefault(verdict.test, {})[place] = trial

    def trials(self, test: str) -> list[Any] | None:
        """Return the parameter sets of a test: its recorded cases; None if it has none."""
        recorded = self._by_test.get(test)
        return parameter_sets(recorded.values()) if recorded else None

    @classmethod
    def read(cls, path: Path) -> Replay:
        """Read a ``failures.jsonl``.

        Raises:
            DataError: it cannot be read, or lines are wrong; all of them are named.
        """
        from harness.errors import DataError, Problem
        from harness.types import Failure

        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read the failures file {path}: {error}", hint=_NEXT) from None
        failures, problems = [], []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                failures.append(Failure.from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                what = f"not a failure record: {type(error).__name__}: {error}"
                problems.append(Problem(what, str(path), number))
        if problems or not failures:
            raise DataError(f"{path} {'has wrong lines' if problems else 'holds no failure'}", problems, _NEXT)
        return cls(path, failures)
