"""Runs side by side as plain text: one row per suite and test, one column per run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.types import Verdict

Place = tuple[str, str]
"""Suite and test."""
Tallies = dict[Place, Counter[str]]
"""How many items of each test ended how."""


@dataclass(frozen=True)
class Column:
    """One run in a table."""

    label: str
    tallies: Mapping[Place, Counter[str]]


def tally(verdicts: Iterable[Verdict]) -> Tallies:
    """Count verdicts by suite, test and outcome."""
    tallies: Tallies = {}
    for verdict in verdicts:
        tallies.setdefault((verdict.suite, verdict.test), Counter())[verdict.outcome] += 1
    return tallies


def cell(outcomes: Mapping[str, int]) -> str:
    """Return ``passed/scored rate``; what was not scored (errors, unscored) is counted apart, never as a fail."""
    passed, scored = outcomes.get("pass", 0), outcomes.get("pass", 0) + outcomes.get("fail", 0)
    shown = f"{passed}/{scored} {passed / scored:7.1%}" if scored else "-"
    apart = [f"{outcomes[name]} {name}" for name in ("error", "unscored") if outcomes.get(name)]
    return f"{shown} (+ {', '.join(apart)})" if apart else shown


def comparison_table(columns: Sequence[Column]) -> list[str]:
    """Return the lines of a table: a row per suite with its tests below, a last row over all."""
    places = sorted({place for column in columns for place in column.tallies})
    rows: list[tuple[str, list[str]]] = []
    for suite in dict.fromkeys(suite for suite, _ in places):
        tests = [place for place in places if place[0] == suite]
        rows.append((suite or "(no suite)", [cell(_sum(column, tests)) for column in columns]))
        if len(tests) > 1:
            rows += [(f"  {_short(test)}", [cell(_sum(c, [(suite, test)])) for c in columns]) for _, test in tests]
        else:
            rows[-1] = (f"{rows[-1][0]}  {_short(tests[0][1])}", rows[-1][1])
    if len({suite for suite, _ in places}) > 1:
        rows.append(("all", [cell(_sum(column, places)) for column in columns]))
    return _aligned(("passed", [column.label for column in columns]), rows)


def _sum(column: Column, places: Iterable[Place]) -> Counter[str]:
    total = Counter[str]()
    for place in places:
        total.update(column.tallies.get(place, {}))
    return total


def _short(test: str) -> str:
    return test.rpartition("/")[2]


def _aligned(head: tuple[str, list[str]], rows: Sequence[tuple[str, list[str]]]) -> list[str]:
    everything = [head, *rows]
    first = max(len(name) for name, _ in everything)
    widths = [max(len(cells[i]) for _, cells in everything) for i in range(len(head[1]))]
    return [
        "  ".join([name.ljust(first), *(text.rjust(width) for text, width in zip(cells, widths, strict=True))]).rstrip()
        for name, cells in everything
    ]
