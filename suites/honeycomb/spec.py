"""Honeycomb's query specification as data: keys, operators, defaults and bounds."""

from __future__ import annotations

from collections.abc import Mapping

WITHOUT_COLUMN = ("COUNT", "CONCURRENCY")
PERCENTILES = ("P001", "P01", "P05", "P10", "P20", "P25", "P50", "P75", "P80", "P90", "P95", "P99", "P999")
WITH_COLUMN = (
    *("SUM", "AVG", "COUNT_DISTINCT", "MAX", "MIN", "HEATMAP"),
    *PERCENTILES,
    *("RATE_AVG", "RATE_SUM", "RATE_MAX"),
)
CALCULATIONS = WITHOUT_COLUMN + WITH_COLUMN
RANKABLE = tuple(op for op in CALCULATIONS if op != "HEATMAP")
COMPARISONS = ("=", "!=", ">", ">=", "<", "<=")
PRESENCE = ("exists", "does-not-exist")
MEMBERSHIP = ("in", "not-in")
FILTERS = (
    *COMPARISONS,
    *("starts-with", "does-not-start-with", "ends-with", "does-not-end-with", "contains", "does-not-contain"),
    *PRESENCE,
    *MEMBERSHIP,
)
COMBINATIONS = ("AND", "OR")
DIRECTIONS = ("ascending", "descending")
OFFSETS = (1800, 3600, 7200, 28800, 86400, 604800, 2419200, 15724800)
LONGEST_LIST = 100
DEFAULT_TIME_RANGE = 7200
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MOST_POINTS = 1000
"""A graph has at most this many points: granularity is at least the time range over it."""

LISTS: Mapping[str, tuple[str, ...]] = {
    "calculations": ("op", "column"),
    "filters": ("column", "op", "value", "join_column"),
    "orders": ("op", "column", "order"),
    "havings": ("calculate_op", "column", "op", "value"),
    "calculated_fields": ("name", "expression"),
    "formulas": ("name", "expression"),
}
"""The lists of objects, and the keys that an entry of each may have."""

KEYS = (
    *LISTS,
    *("breakdowns", "filter_combination", "limit", "time_range", "start_time", "end_time", "granularity"),
    *("compare_time_offset_seconds", "usage_mode"),
)
