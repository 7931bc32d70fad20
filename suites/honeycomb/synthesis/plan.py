"""A question's meaning, from which both its words and its query are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from suites.honeycomb.spec import DEFAULT_TIME_RANGE
from suites.honeycomb.synthesis.domains import Column, Domain, Value

Calculation = tuple[str, Column | None]


@dataclass(frozen=True)
class Filter:
    """One condition on events; ``value`` is None for the presence operators."""

    column: Column
    op: str
    value: Value | tuple[Value, ...] | None = None


@dataclass(frozen=True)
class Having:
    """One condition on groups."""

    calculation: Calculation
    op: str
    value: int | float


@dataclass(frozen=True)
class Order:
    """What results are sorted by: a calculation or a breakdown."""

    by: Calculation | Column
    direction: str


@dataclass(frozen=True)
class Window:
    """The time that is asked about; all None: nothing was said, so the default range."""

    seconds: int | None = None
    start: int | None = None
    end: int | None = None


@dataclass
class Plan:
    """What is asked, part by part."""

    domain: Domain
    calculations: list[Calculation] = field(default_factory=list)
    breakdowns: list[Column] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    any_filter: bool = False
    havings: list[Having] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    limit: int | None = None
    window: Window = Window()
    granularity: int | None = None

    @property
    def parts(self) -> int:
        """How many things the question says beyond its first calculation."""
        many = len(self.calculations) - 1 + len(self.breakdowns) + len(self.filters) + len(self.havings)
        return many + len(self.orders) + bool(self.granularity) + bool(self.window.start or self.window.end)

    @property
    def complexity(self) -> str:
        """``simple``, ``medium`` or ``complex``."""
        return "simple" if self.parts <= 1 else "medium" if self.parts == 2 else "complex"

    def query(self) -> dict[str, Any]:
        """Return the query that the question asks for, its keys always in this order."""
        query: dict[str, Any] = {}
        if self.breakdowns:
            query["breakdowns"] = [column.name for column in self.breakdowns]
        query["calculations"] = [_calculation(pair) for pair in self.calculations]
        if self.filters:
            query["filters"] = [_filter(entry) for entry in self.filters]
        if self.any_filter:
            query["filter_combination"] = "OR"
        if self.havings:
            query["havings"] = [_having(entry) for entry in self.havings]
        if self.orders:
            query["orders"] = [_order(entry) for entry in self.orders]
        if self.limit is not None:
            query["limit"] = self.limit
        if self.granularity is not None:
            query["granularity"] = self.granularity
        return query | self._times()

    def used(self) -> set[str]:
        """Return the names of the columns that the query names."""
        columns = {*self.breakdowns, *(entry.column for entry in self.filters)}
        return {column.name for column in columns | {pair[1] for pair in self.calculations if pair[1]}}

    def _times(self) -> dict[str, int]:
        window = self.window
        times = {"start_time": window.start, "end_time": window.end, "time_range": window.seconds}
        said = {key: value for key, value in times.items() if value is not None}
        return said or {"time_range": DEFAULT_TIME_RANGE}


def _calculation(pair: Calculation) -> dict[str, Any]:
    op, column = pair
    return {"op": op} if column is None else {"op": op, "column": column.name}


def _filter(entry: Filter) -> dict[str, Any]:
    made: dict[str, Any] = {"column": entry.column.name, "op": entry.op}
    if entry.value is not None:
        made["value"] = list(entry.value) if isinstance(entry.value, tuple) else entry.value
    return made


def _having(entry: Having) -> dict[str, Any]:
    op, column = entry.calculation
    named = {"calculate_op": op} if column is None else {"calculate_op": op, "column": column.name}
    return {**named, "op": entry.op, "value": entry.value}


def _order(entry: Order) -> dict[str, Any]:
    by = {"column": entry.by.name} if isinstance(entry.by, Column) else _calculation(entry.by)
    return {**by, "order": entry.direction}
