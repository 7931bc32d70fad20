"""What the selected items need from a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_ftplugin.trial import GENERATION, MODEL_FIXTURES, Trial, trial_of


@dataclass
class Plan:
    """The trials of a selection; under xdist a worker writes it and the controller reads it."""

    trials: dict[str, Trial] = field(default_factory=dict)
    """By node id."""
    wanted: list[Trial] = field(default_factory=list)
    """The trials whose reply some test reads, each once."""
    needs_model: bool = False
    items: int = 0

    @classmethod
    def of(cls, items: Iterable[pytest.Item], model_named: bool) -> Plan:
        """Look at what the items' fixtures ask for.

        A test without cases counts only where a model is named: elsewhere its ``engine`` may well be
        a fixture of the project's own.
        """
        plan = cls()
        wanted: dict[int, Trial] = {}
        for item in items:
            plan.items += 1
            names = getattr(item, "fixturenames", ())
            trial = trial_of(item)
            if trial is not None:
                plan.trials[item.nodeid] = trial
                if GENERATION in names:
                    wanted[id(trial)] = trial
            if not plan.needs_model and (trial is not None or model_named):
                plan.needs_model = not MODEL_FIXTURES.isdisjoint(names)
        plan.wanted = list(wanted.values())
        return plan

    def write(self, path: Path) -> None:
        """Write the plan so that it appears whole or not at all."""
        from harness.types import to_json

        numbers: dict[int, int] = {}
        cases: list[Any] = []
        trials: dict[int, int] = {}
        for trial in self.trials.values():
            if id(trial.case) not in numbers:
                numbers[id(trial.case)] = len(cases)
                cases.append(to_json(trial.case))
            trials.setdefault(id(trial), len(trials))
        rows = {trials[id(t)]: (numbers[id(t.case)], t.repeat) for t in self.trials.values()}
        data = {
            "needs_model": self.needs_model,
            "items": self.items,
            "cases": cases,
            "trials": [rows[number] for number in range(len(rows))],
            "nodeids": {nodeid: trials[id(trial)] for nodeid, trial in self.trials.items()},
            "wanted": [trials[id(trial)] for trial in self.wanted],
        }
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(data), encoding="utf-8")
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read what :meth:`write` wrote."""
        from harness.types import Case

        data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        cases = [Case.from_json(case) for case in data["cases"]]
        trials = [Trial(cases[number], repeat) for number, repeat in data["trials"]]
        return cls(
            trials={nodeid: trials[number] for nodeid, number in data["nodeids"].items()},
            wanted=[trials[number] for number in data["wanted"]],
            needs_model=data["needs_model"],
            items=data["items"],
        )
