"""Puts the parts of a plan into words, by the tables in ``wordings.yml``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from suites.honeycomb.spec import PERCENTILES
from suites.honeycomb.synthesis.domains import Column, Value
from suites.honeycomb.synthesis.plan import Calculation, Filter, Having, Order, Plan, Window


@cache
def wordings() -> dict[str, Any]:
    """Read the tables."""
    tables: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("wordings.yml").read_text(encoding="utf-8"))
    return tables


class Wording:
    """Chooses the words of one question; a column is called the same throughout."""

    def __init__(self, plan: Plan, rng: Random) -> None:
        self.plan = plan
        self.rng = rng
        self.noun = rng.choice(plan.domain.nouns)
        self._called: dict[str, str] = {}

    def say(self, *keys: Any, **said: str) -> str:
        """Return one of the wordings that stand under ``keys``, filled in."""
        table = wordings()
        for key in keys:
            table = table[key]
        forms: Any = table
        return str(self.rng.choice(forms)).format(noun=self.noun, **said)

    def column(self, column: Column) -> str:
        """Return the column's own name or one of those people use."""
        name = column.name if self.rng.random() < 0.55 else self.rng.choice(column.called)
        return self._called.setdefault(column.name, name)

    def calculation(self, pair: Calculation, short: bool = False) -> str:
        """Return a calculation in words; ``short`` where it is one of several things said."""
        op, column = pair
        if column is None:
            return str(wordings()["short"][op]) if short else self.say("calculations", op)
        called = self.column(column)
        if op not in PERCENTILES:
            return self.say("calculations", op, c=called)
        if op == "P50" and self.rng.random() < 0.5:
            return self.say("median", c=called)
        return self.say("percentiles", c=called, p=op.lower(), P=op, o=wordings()["ordinals"][op])

    def filters(self) -> str:
        """Return all conditions, joined, with their leading word; nothing where there are none."""
        if not self.plan.filters:
            return ""
        said = [self._condition(entry) for entry in self.plan.filters]
        if not self.plan.any_filter:
            return f"{self.say('where')} {' and '.join(said)}"
        joined = self.rng.choice((" or ", " or ", ", or ")).join(said)
        return f"{self.say('either')} {joined}"

    def groups(self, alone: bool = False) -> str:
        """Return the breakdowns in words, ``alone`` if nothing else is asked; nothing where there are none."""
        names = [self.column(column) for column in self.plan.breakdowns]
        joined = self.rng.choice((" and ", ", ")).join(names)
        return self.say("alone" if alone else "groups", b=joined) if names else ""

    def havings(self) -> str:
        """Return the conditions on groups in words; nothing where there are none."""
        return " and ".join(self._having(entry) for entry in self.plan.havings)

    def orders(self) -> str:
        """Return order and limit in words; nothing where there is neither."""
        said = [self._order(entry) for entry in self.plan.orders]
        if self.plan.limit is not None:
            said.append(self.say("limits", i=str(self.plan.limit)))
        return ", ".join(said)

    def top(self) -> str:
        """Return the first breakdown and calculation, the order and the limit as one phrase."""
        group, calculation = self.column(self.plan.breakdowns[0]), self.plan.calculations[0]
        direction = self.plan.orders[0].direction
        return self.say("top", direction, i=str(self.plan.limit), b=group, k=self.calculation(calculation, short=True))

    def granularity(self) -> str:
        """Return the granularity in words; nothing where there is none."""
        step = self.plan.granularity
        return "" if step is None else self.say("granularities", g=wordings()["steps"][step], i=str(step))

    def window(self) -> str:
        """Return the time that is asked about in words; nothing for the default."""
        window = self.plan.window
        if window.start is None and window.end is None:
            return "" if window.seconds is None else self._recent(window.seconds)
        return self._absolute(window)

    def _recent(self, seconds: int) -> str:
        if seconds == 86400 and self.rng.random() < 0.3:
            return self.say("yesterday")
        return self.say("recent", s=self.say("spans", seconds))

    def _absolute(self, window: Window) -> str:
        times = {"a": str(window.start), "z": str(window.end)}
        if window.seconds is None:
            return self.say("between", **times)
        span = self.rng.choice([said for said in wordings()["spans"][window.seconds] if said[0].isdigit()])
        return self.say("from" if window.end is None else "until", **times, s=span)

    def _condition(self, entry: Filter) -> str:
        said = {"c": self.column(entry.column)}
        if isinstance(entry.value, tuple):
            values = [str(value) for value in entry.value]
            head, last = ", ".join(values[:-1]), values[-1]
            said |= {"v": f"{head} or {last}", "n": f"{head} nor {last}", "l": ", ".join(values)}
        elif entry.value is not None:
            said["v"] = self._value(entry.value, entry.column)
        return self.say("conditions", entry.op, **said)

    def _having(self, entry: Having) -> str:
        compared = self.say("comparisons", entry.op, v=str(entry.value))
        return self.say("havings", k=self.calculation(entry.calculation, short=True), h=compared)

    def _order(self, entry: Order) -> str:
        by = self.column(entry.by) if isinstance(entry.by, Column) else self.calculation(entry.by, short=True)
        return self.say("orders", k=by, d=self.say("directions", entry.direction))

    def _value(self, value: Value, column: Column) -> str:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return f"{text} {column.unit}" if column.unit and self.rng.random() < 0.5 else text
