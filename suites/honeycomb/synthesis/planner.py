"""Draws the parts of a plan: columns that suit an operator, values that suit a column."""

from __future__ import annotations

from random import Random
from typing import TypeVar

from suites.honeycomb.synthesis.domains import Column, Domain, Value
from suites.honeycomb.synthesis.plan import Calculation, Filter, Order, Plan, Window

T = TypeVar("T")
SPANS = (600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 172800, 259200, 604800, 1209600)
LIMITS = (3, 5, 10, 20, 25, 50)


def weighted(rng: Random, weights: dict[T, int]) -> T:
    """Return a key with probability in proportion to its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


class Planner:
    """Draws the parts of a plan for one domain; no column is used for two things."""

    def __init__(self, domain: Domain, rng: Random) -> None:
        self.domain = domain
        self.rng = rng
        self.plan = Plan(domain)
        self._left = list(domain.columns.values())

    def take(self, *kinds: str) -> Column:
        """Return a column of one of the ``kinds`` that the plan does not use yet."""
        column = self.rng.choice([column for column in self._left if column.kind in kinds])
        self._left.remove(column)
        return column

    def calculate(self, *pairs: Calculation) -> None:
        self.plan.calculations.extend(pairs)

    def measure(self, weights: dict[str, int]) -> Calculation:
        """Return a calculation over a measure with an operator drawn from ``weights``."""
        return weighted(self.rng, weights), self.take("measure")

    def group(self, chance: float = 1.0, second: float = 0.12) -> None:
        """Break down by a column with the given ``chance``, by two with the chance of a ``second``."""
        if self.rng.random() < chance:
            self.plan.breakdowns.append(self.take("category", "text", "code", "flag", "id"))
            if self.rng.random() < second:
                self.plan.breakdowns.append(self.take("category", "code"))

    def filter(self, weights: dict[str, int]) -> None:
        """Add a condition with an operator drawn from ``weights``, on a column that suits it."""
        left = {column.kind for column in self._left}
        op = weighted(self.rng, {op: weight for op, weight in weights.items() if left & set(KINDS_FOR[op])})
        column = self.take(*KINDS_FOR[op])
        self.plan.filters.append(Filter(column, op, self._value(column, op)))

    def equal(self, chance: float = 1.0) -> None:
        """Add an equality with the given ``chance``."""
        if self.rng.random() < chance:
            self.filter({"=": 1})

    def _value(self, column: Column, op: str) -> Value | tuple[Value, ...] | None:
        if op in ("exists", "does-not-exist"):
            return None
        if op in ("in", "not-in"):
            count = min(self.rng.choice((2, 2, 3)), len(column.values))
            return tuple(self.rng.sample(column.values, count))
        values: tuple[Value, ...] = getattr(column, TEXT_PARTS.get(op, "values"))
        return self.rng.choice(values)

    def last(self, chance: float = 0.4) -> None:
        """Name a time range with the given ``chance``."""
        if self.rng.random() < chance:
            self.plan.window = Window(seconds=self.rng.choice(SPANS))

    def rank(self, direction: str, limited: bool = True) -> None:
        """Sort by the first calculation, and keep the first few if ``limited``."""
        self.plan.orders.append(Order(self.plan.calculations[0], direction))
        self.plan.limit = self.rng.choice(LIMITS) if limited else None


TEXT_PARTS = {
    "starts-with": "starts",
    "does-not-start-with": "starts",
    "ends-with": "ends",
    "does-not-end-with": "ends",
    "contains": "contains",
    "does-not-contain": "contains",
}
KINDS_FOR = {
    "=": ("category", "code", "flag", "text", "id"),
    "!=": ("category", "code", "text"),
    **dict.fromkeys((">", ">=", "<", "<="), ("measure",)),
    **dict.fromkeys(("in", "not-in"), ("category", "code")),
    **dict.fromkeys(("exists", "does-not-exist"), ("text", "id", "category")),
    **dict.fromkeys(TEXT_PARTS, ("text",)),
}
