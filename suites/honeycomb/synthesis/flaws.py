"""Plants the flaws that synthetic data has in practice. All of them are valid queries: only reading finds them."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from suites.honeycomb.synthesis.rows import Item

SHARE = 0.035
"""Share of the training rows with one of the realistic flaws."""

NEGATIONS = {
    "!=": "=",
    "not-in": "in",
    "does-not-contain": "contains",
    "does-not-start-with": "starts-with",
    "does-not-end-with": "ends-with",
}
SYSTEMATIC_INTENTS = ("negated filters", "negated text filters")


@dataclass(frozen=True)
class Flaw:
    """What is wrong in one row: the query it has instead of the one it should have."""

    kind: str
    query: Mapping[str, Any]
    note: str


def plant_realistic(items: Sequence[Item], rng: Random) -> dict[int, Flaw]:
    """Return flaws by row: a value copied from a sibling row, or an empty join column left in, half of each."""
    flaws: dict[int, Flaw] = {}
    order = [index for index, item in enumerate(items) if item.query.get("filters")]
    rng.shuffle(order)
    siblings = _values_by_column(items)
    wanted = round(SHARE * len(items))
    for index in order:
        if len(flaws) == wanted:
            break
        flaw = _left_in(items[index]) if len(flaws) % 2 else _copied(items[index], siblings, rng)
        if flaw:
            flaws[index] = flaw
    return flaws


def plant_systematic(items: Sequence[Item], flawed: Mapping[int, Flaw], rng: Random) -> dict[int, Flaw]:
    """Return flaws by row: in half the rows of each of two intents, the negation is lost."""
    flaws: dict[int, Flaw] = {}
    for intent in SYSTEMATIC_INTENTS:
        rows = [index for index, item in enumerate(items) if item.intent == intent]
        sound = [index for index in rows if index not in flawed]
        flaws |= {index: _affirmed(items[index]) for index in rng.sample(sound, len(rows) // 2)}
    return flaws


def _values_by_column(items: Sequence[Item]) -> dict[tuple[str, str], list[Any]]:
    """Return the values that single-valued filters compare a column with, by column and operator."""
    values: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for item in items:
        for entry in item.query.get("filters", ()):
            if isinstance(entry.get("value"), str | int | float) and not isinstance(entry["value"], bool):
                values[entry["column"], entry["op"]].append(entry["value"])
    return values


def _copied(item: Item, siblings: Mapping[tuple[str, str], list[Any]], rng: Random) -> Flaw | None:
    query = copy.deepcopy(dict(item.query))
    entry = query["filters"][0]
    others = [value for value in siblings.get((entry["column"], entry["op"]), ()) if value != entry["value"]]
    if not others:
        return None
    right, entry["value"] = entry["value"], rng.choice(others)
    note = f"{entry['column']} is compared with {entry['value']!r}, a sibling row's value; asked was {right!r}"
    return Flaw("copied-value", query, note)


def _left_in(item: Item) -> Flaw:
    query = copy.deepcopy(dict(item.query))
    for entry in query["filters"]:
        entry["join_column"] = ""
    return Flaw("join-column", query, "an empty join_column is left in the filters")


def _affirmed(item: Item) -> Flaw:
    query = copy.deepcopy(dict(item.query))
    for entry in query["filters"]:
        entry["op"] = NEGATIONS.get(entry["op"], entry["op"])
    return Flaw("lost-negation", query, "the question excludes what the query selects")
