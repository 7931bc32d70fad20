"""The kinds of question, one function each: it plans a query, the name is the row's intent."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from suites.honeycomb.spec import PERCENTILES
from suites.honeycomb.synthesis.domains import Domain
from suites.honeycomb.synthesis.plan import Calculation, Having, Order, Plan, Window
from suites.honeycomb.synthesis.planner import Planner, weighted

COUNT: Calculation = ("COUNT", None)
EPOCH = 1_717_200_000
"""2024-06-01: absolute times lie in the month that follows."""

STEPS = (10, 30, 60, 300, 600, 900, 1800, 3600)
THRESHOLDS = (5, 10, 20, 50, 100, 200, 500, 1000)
FREQUENT = {"P95": 5, "P99": 5, "P50": 4, "P90": 4, "P75": 2, "P999": 2, "P25": 2}
PERCENTILE_WEIGHTS = dict.fromkeys(PERCENTILES, 1) | FREQUENT
AGGREGATES = {"AVG": 5, "SUM": 3, "MAX": 3, "MIN": 2}


def count_by_group(p: Planner) -> None:
    p.calculate(COUNT)
    p.group()
    p.last()


def simple_filters(p: Planner) -> None:
    p.calculate(COUNT)
    p.equal()
    p.equal(chance=0.1)
    p.group(chance=0.35)
    p.last(chance=0.25)


def negated_filters(p: Planner) -> None:
    p.calculate(COUNT)
    p.filter({"!=": 3, "not-in": 2})
    p.equal(chance=0.1)
    p.group(chance=0.35)
    p.last(chance=0.25)


def negated_text_filters(p: Planner) -> None:
    p.calculate(COUNT)
    p.filter({"does-not-contain": 3, "does-not-start-with": 2, "does-not-end-with": 2})
    p.equal(chance=0.1)
    p.group(chance=0.35)
    p.last(chance=0.25)


def text_filters(p: Planner) -> None:
    p.calculate(COUNT)
    p.filter({"contains": 3, "starts-with": 2, "ends-with": 2})
    p.equal(chance=0.1)
    p.group(chance=0.35)
    p.last(chance=0.25)


def numeric_filters(p: Planner) -> None:
    p.calculate(COUNT)
    p.filter({">": 3, ">=": 2, "<": 2, "<=": 2})
    p.equal(chance=0.1)
    p.group(chance=0.35)
    p.last(chance=0.25)


def presence_filters(p: Planner) -> None:
    p.calculate(COUNT)
    p.filter({"exists": 1, "does-not-exist": 1})
    p.equal(chance=0.1)
    p.group(chance=0.35)
    p.last(chance=0.25)


def value_lists(p: Planner) -> None:
    p.calculate(COUNT)
    p.filter({"in": 1})
    p.equal(chance=0.1)
    p.group(chance=0.35)
    p.last(chance=0.25)


def aggregates(p: Planner) -> None:
    p.calculate(p.measure(AGGREGATES))
    p.equal(chance=0.15)
    p.group(chance=0.45)
    p.last(chance=0.3)


def percentiles(p: Planner) -> None:
    p.calculate(p.measure(PERCENTILE_WEIGHTS))
    p.equal(chance=0.15)
    p.group(chance=0.45)
    p.last(chance=0.3)


def distinct_counts(p: Planner) -> None:
    p.calculate(("COUNT_DISTINCT", p.take("id", "text", "category")))
    p.equal(chance=0.15)
    p.group(chance=0.45)
    p.last(chance=0.3)


def heatmaps(p: Planner) -> None:
    p.calculate(p.measure({"HEATMAP": 1}))
    p.equal(chance=0.15)
    p.group(chance=0.2)
    p.last(chance=0.3)


def rates_and_concurrency(p: Planner) -> None:
    op = weighted(p.rng, {"CONCURRENCY": 4, "RATE_AVG": 2, "RATE_SUM": 2, "RATE_MAX": 2})
    p.calculate((op, None) if op == "CONCURRENCY" else (op, p.take("measure")))
    p.equal(chance=0.15)
    p.group(chance=0.45)
    p.last(chance=0.3)


def top_lists(p: Planner) -> None:
    p.calculate(COUNT if p.rng.random() < 0.5 else p.measure({**AGGREGATES, "P95": 2, "P99": 2}))
    p.group(second=0)
    p.rank(weighted(p.rng, {"descending": 3, "ascending": 1}))
    p.equal(chance=0.2)
    p.last(chance=0.35)


def sorted_groups(p: Planner) -> None:
    p.calculate(COUNT if p.rng.random() < 0.5 else p.measure(AGGREGATES))
    p.group(second=0)
    direction = p.rng.choice(("ascending", "descending"))
    if p.rng.random() < 0.5:
        p.plan.orders.append(Order(p.plan.breakdowns[0], direction))
    else:
        p.rank(direction, limited=False)
    p.last(chance=0.25)


def several_calculations(p: Planner) -> None:
    p.calculate(COUNT if p.rng.random() < 0.5 else p.measure(AGGREGATES))
    p.calculate(p.measure(PERCENTILE_WEIGHTS | {"AVG": 5, "MAX": 3, "HEATMAP": 1}))
    if p.rng.random() < 0.2:
        p.calculate(("COUNT_DISTINCT", p.take("id")))
    p.equal(chance=0.2)
    p.group(chance=0.5, second=0)
    p.last(chance=0.3)


def either_or(p: Planner) -> None:
    p.calculate(COUNT)
    for _ in range(p.rng.choice((2, 2, 2, 3))):
        p.filter({"=": 4, ">": 3, "contains": 2, "!=": 1, "exists": 1, "starts-with": 1})
    p.plan.any_filter = True
    p.group(chance=0.35, second=0)
    p.last(chance=0.25)


def combined_filters(p: Planner) -> None:
    p.calculate(COUNT if p.rng.random() < 0.6 else p.measure(AGGREGATES))
    ops = {"=": 5, ">": 3, "<": 1, "!=": 2, "contains": 2, "starts-with": 1, "exists": 1, "in": 1, ">=": 1}
    for _ in range(p.rng.choice((2, 2, 3))):
        p.filter(ops)
    p.group(chance=0.35, second=0)
    p.last(chance=0.25)


def group_thresholds(p: Planner) -> None:
    p.calculate(COUNT if p.rng.random() < 0.5 else p.measure({"AVG": 4, "MAX": 2, "SUM": 2, "P95": 2, "P99": 1}))
    p.group(second=0)
    op, column = p.plan.calculations[0]
    values = [value for value in column.values if not isinstance(value, str)] if column else list(THRESHOLDS)
    comparison = weighted(p.rng, {">": 5, ">=": 3, "<": 3, "<=": 2, "=": 1, "!=": 1})
    p.plan.havings.append(Having((op, column), comparison, p.rng.choice(values)))
    p.equal(chance=0.2)
    p.last(chance=0.25)


def fixed_times(p: Planner) -> None:
    p.calculate(COUNT if p.rng.random() < 0.6 else p.measure(AGGREGATES))
    start = EPOCH + 3600 * p.rng.randrange(720)
    span = p.rng.choice((1800, 3600, 7200, 14400, 86400))
    windows = (Window(start=start, end=start + span), Window(span, start=start), Window(span, end=start))
    p.plan.window = p.rng.choices(windows, (4, 1, 1))[0]
    p.equal(chance=0.3)
    p.group(chance=0.4, second=0)


def granularities(p: Planner) -> None:
    p.calculate(COUNT if p.rng.random() < 0.6 else p.measure({**AGGREGATES, "P95": 2}))
    p.last(chance=0.6)
    span = p.plan.window.seconds or 7200
    p.plan.granularity = p.rng.choice([step for step in STEPS if span / 1000 <= step <= span / 10])
    p.equal(chance=0.25)
    p.group(chance=0.3, second=0)


INTENTS: dict[str, tuple[int, Callable[[Planner], None]]] = {
    "count by group": (16, count_by_group),
    "simple filters": (14, simple_filters),
    "negated filters": (10, negated_filters),
    "negated text filters": (9, negated_text_filters),
    "text filters": (7, text_filters),
    "numeric filters": (7, numeric_filters),
    "presence filters": (4, presence_filters),
    "value lists": (4, value_lists),
    "averages and totals": (7, aggregates),
    "percentiles": (7, percentiles),
    "distinct counts": (3, distinct_counts),
    "heatmaps": (2, heatmaps),
    "rates and concurrency": (3, rates_and_concurrency),
    "top lists": (6, top_lists),
    "sorted groups": (3, sorted_groups),
    "several calculations": (3, several_calculations),
    "either or": (4, either_or),
    "combined filters": (5, combined_filters),
    "group thresholds": (3, group_thresholds),
    "fixed times": (3, fixed_times),
    "granularity": (3, granularities),
}
"""Cluster: its weight among the rows, and its planner."""


def make_plan(intent: str, domain: Domain, rng: Random) -> Plan:
    """Return a plan of the kind that ``intent`` names."""
    planner = Planner(domain, rng)
    INTENTS[intent][1](planner)
    return planner.plan
