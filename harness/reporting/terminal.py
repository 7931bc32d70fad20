"""Runs side by side as plain text: one row per suite and test, one column per run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.stats import wilson_interval
from harness.types import Verdict

Place = tuple[str, str]
"""Suite and test."""
Tallies = dict[Place, Counter[str]]
"""How many items of each test ended how."""
_BOUNDS_WIDTH = len("[98, 100]")


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


def cell(outcomes: Mapping[str, int], *, interval: bool = True) -> str:
    """Return ``passed/scored rate [low, high]``, the last being the rate's 95% interval in per cent.

    What was not scored (errors, unscored) is counted apart, never as a fail. Without ``interval`` there is room in
    its place, so that rates line up.
    """
    passed, scored = outcomes.get("pass", 0), outcomes.get("pass", 0) + outcomes.get("fail", 0)
    shown = "-"
    if scored:
        bounds = _bounds(passed, scored) if interval else ""
        shown = f"{passed}/{scored} {passed / scored:7.1%} {bounds:>{_BOUNDS_WIDTH}}"
    apart = [f"{outcomes[name]} {name}" for name in ("error", "unscored") if outcomes.get(name)]
    return f"{shown} (+ {', '.join(apart)})" if apart else shown


def _bounds(passed: int, scored: int) -> str:
    low, high = wilson_interval(passed, scored)
    return f"[{100 * low:.0f}, {100 * high:.0f}]"


def comparison_table(columns: Sequence[Column]) -> list[str]:
    """Return the lines of a table: a row per suite with its tests below, a last row over all.

    A row over several tests has no intervals: it counts one reply several times, and these are not independent.
    """
    places = sorted({place for column in columns for place in column.tallies})
    rows: list[tuple[str, list[str]]] = []
    for suite in dict.fromkeys(suite for suite, _ in places):
        tests = [place for place in places if place[0] == suite]
        rows.append((suite or "(no suite)", _cells(columns, tests)))
        if len(tests) > 1:
            rows += [(f"  {_short(test)}", _cells(columns, [(suite, test)])) for _, test in tests]
        else:
            rows[-1] = (f"{rows[-1][0]}  {_short(tests[0][1])}", rows[-1][1])
    if len({suite for suite, _ in places}) > 1:
        rows.append(("all", _cells(columns, places)))
    return _aligned(("passed", [column.label for column in columns]), rows)


def _cells(columns: Sequence[Column], places: Sequence[Place]) -> list[str]:
    return [cell(_sum(column, places), interval=len(places) == 1) for column in columns]


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
