"""The query rules, one test each, written from Honeycomb's specification and not from the validator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suites.honeycomb.compare import equivalent
from suites.honeycomb.query import columns_exist, problems, valid_query

NO_COLUMN = ["COUNT", "CONCURRENCY"]
COLUMN = ["SUM", "AVG", "COUNT_DISTINCT", "MAX", "MIN", "HEATMAP", "RATE_AVG", "RATE_SUM", "RATE_MAX"]
COLUMN += ["P001", "P01", "P05", "P10", "P20", "P25", "P50", "P75", "P80", "P90", "P95", "P99", "P999"]
VALUE_OPS = ["=", "!=", ">", ">=", "<", "<=", "starts-with", "does-not-start-with", "ends-with"]
VALUE_OPS += ["does-not-end-with", "contains", "does-not-contain"]


def paths(query: Any, **options: Any) -> list[str]:
    """Return where the problems are."""
    return [problem.split(": ", 1)[0] for problem in problems(query, **options)]


def one_filter(**entry: Any) -> dict[str, Any]:
    return {"filters": [entry]}


def test_every_field_is_optional() -> None:
    assert valid_query({})


def test_a_row_of_the_real_data_is_valid() -> None:
    query = {"breakdowns": ["http.method"], "calculations": [{"op": "COUNT"}], "time_range": 7200}
    assert valid_query(query, ["http.target", "http.method"])


# calculations


@pytest.mark.parametrize("op", NO_COLUMN)
def test_operators_without_a_column(op: str) -> None:
    assert not problems({"calculations": [{"op": op}]})
    assert paths({"calculations": [{"op": op, "column": "a"}]}) == ["calculations[0].column"]


@pytest.mark.parametrize("op", COLUMN)
def test_operators_with_a_column(op: str) -> None:
    assert not problems({"calculations": [{"op": op, "column": "a"}]})
    assert paths({"calculations": [{"op": op}]}) == ["calculations[0].column"]
    assert paths({"calculations": [{"op": op, "column": ""}]}) == ["calculations[0].column"]
    assert paths({"calculations": [{"op": op, "column": 3}]}) == ["calculations[0].column"]


@pytest.mark.parametrize("op", ["count", "P98", "MEDIAN", "", None, 3, [], {}, True])
def test_no_other_calculation_operators(op: Any) -> None:
    assert paths({"calculations": [{"op": op}]}) == ["calculations[0].op"]


def test_an_operator_is_needed() -> None:
    assert paths({"calculations": [{}]}) == ["calculations[0].op"]


# filters


@pytest.mark.parametrize("op", VALUE_OPS)
@pytest.mark.parametrize("value", ["x", "", "O'Brien", 'say "hi"', 5, -1.5, 0, True, False])
def test_value_filters(op: str, value: Any) -> None:
    assert not problems(one_filter(column="a", op=op, value=value))


@pytest.mark.parametrize("op", VALUE_OPS)
@pytest.mark.parametrize("value", [None, [], ["x"], {}, float("nan"), float("inf")])
def test_value_filters_take_one_scalar(op: str, value: Any) -> None:
    assert paths(one_filter(column="a", op=op, value=value)) == ["filters[0].value"]


def test_value_filters_need_a_value() -> None:
    assert paths(one_filter(column="a", op="=")) == ["filters[0].value"]


@pytest.mark.parametrize("op", ["exists", "does-not-exist"])
def test_presence_takes_no_value(op: str) -> None:
    assert not problems(one_filter(column="a", op=op))
    assert paths(one_filter(column="a", op=op, value="x")) == ["filters[0].value"]
    assert paths(one_filter(column="a", op=op, value=False)) == ["filters[0].value"]


@pytest.mark.parametrize("op", ["in", "not-in"])
def test_membership_takes_a_list(op: str) -> None:
    assert not problems(one_filter(column="a", op=op, value=["x", 1, True]))
    assert paths(one_filter(column="a", op=op, value="x")) == ["filters[0].value"]
    assert paths(one_filter(column="a", op=op, value=[])) == ["filters[0].value"]
    assert paths(one_filter(column="a", op=op, value=["x", None, ["y"]])) == [
        "filters[0].value[1]",
        "filters[0].value[2]",
    ]
    assert paths(one_filter(column="a", op=op, value=["x"] * 101)) == ["filters[0].value"]


@pytest.mark.parametrize("op", ["==", "equals", "contain", "startswith", "like", None, ["="], ""])
def test_no_other_filter_operators(op: Any) -> None:
    assert "filters[0].op" in paths(one_filter(column="a", op=op, value="x"))


def test_a_near_miss_is_named() -> None:
    assert "(nearest: contains)" in problems(one_filter(column="a", op="contain", value="x"))[0]


@pytest.mark.parametrize("column", [None, "", 3, ["a"]])
def test_filters_need_a_column(column: Any) -> None:
    assert paths(one_filter(column=column, op="=", value="x")) == ["filters[0].column"]


def test_an_empty_join_column_is_tolerated() -> None:
    assert not problems(one_filter(column="a", op="=", value="x", join_column=""))
    assert paths(one_filter(column="a", op="=", value="x", join_column="b")) == ["filters[0].join_column"]
    assert paths(one_filter(column="a", op="=", value="x", join_column=None)) == ["filters[0].join_column"]


@pytest.mark.parametrize("value", ["AND", "OR"])
def test_filter_combinations(value: str) -> None:
    assert not problems({"filter_combination": value})


@pytest.mark.parametrize("value", ["and", "XOR", None, True, ["AND"]])
def test_no_other_filter_combinations(value: Any) -> None:
    assert paths({"filter_combination": value}) == ["filter_combination"]


# breakdowns and orders


@pytest.mark.parametrize("name", [None, "", 3, {}, ["a"]])
def test_breakdowns_are_names(name: Any) -> None:
    assert paths({"breakdowns": ["a", name]}) == ["breakdowns[1]"]


GROUPED = {
    "breakdowns": ["a"],
    "calculations": [{"op": "COUNT"}, {"op": "AVG", "column": "d"}, {"op": "HEATMAP", "column": "d"}],
}


@pytest.mark.parametrize(
    "order",
    [
        {"column": "a"},
        {"column": "a", "order": "descending"},
        {"op": "COUNT"},
        {"op": "COUNT", "order": "ascending"},
        {"op": "AVG", "column": "d", "order": "descending"},
    ],
)
def test_orders_by_breakdowns_and_calculations(order: dict[str, Any]) -> None:
    assert not problems(GROUPED | {"orders": [order]})


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ({"column": "b"}, "orders[0]"),
        ({"column": "d"}, "orders[0]"),
        ({}, "orders[0]"),
        ({"op": "AVG"}, "orders[0]"),
        ({"op": "AVG", "column": "a"}, "orders[0]"),
        ({"op": "MAX", "column": "d"}, "orders[0]"),
        ({"op": "COUNT", "column": "a"}, "orders[0]"),
        ({"op": "HEATMAP", "column": "d"}, "orders[0].op"),
        ({"op": "TOP"}, "orders[0].op"),
        ({"op": "COUNT", "order": "desc"}, "orders[0].order"),
        ({"op": "COUNT", "order": None}, "orders[0].order"),
        ({"column": ["a"]}, "orders[0].column"),
    ],
)
def test_no_other_orders(order: dict[str, Any], path: str) -> None:
    assert paths(GROUPED | {"orders": [order]}) == [path]


def test_count_is_calculated_when_nothing_is() -> None:
    assert not problems({"orders": [{"op": "COUNT"}], "havings": [{"calculate_op": "COUNT", "op": ">", "value": 1}]})


# havings


@pytest.mark.parametrize("op", ["=", "!=", ">", ">=", "<", "<="])
@pytest.mark.parametrize("value", [0, 10, -2.5])
def test_havings(op: str, value: float) -> None:
    assert not problems(GROUPED | {"havings": [{"calculate_op": "AVG", "column": "d", "op": op, "value": value}]})
    assert not problems(GROUPED | {"havings": [{"calculate_op": "COUNT", "op": op, "value": value}]})


@pytest.mark.parametrize(
    ("having", "path"),
    [
        ({"calculate_op": "HEATMAP", "column": "d", "op": ">", "value": 1}, "havings[0].calculate_op"),
        ({"calculate_op": "MAX", "column": "d", "op": ">", "value": 1}, "havings[0]"),
        ({"calculate_op": "AVG", "column": "a", "op": ">", "value": 1}, "havings[0]"),
        ({"calculate_op": "AVG", "op": ">", "value": 1}, "havings[0].column"),
        ({"calculate_op": "COUNT", "column": "d", "op": ">", "value": 1}, "havings[0].column"),
        ({"calculate_op": "COUNT", "op": "contains", "value": 1}, "havings[0].op"),
        ({"calculate_op": "COUNT", "op": "exists", "value": 1}, "havings[0].op"),
        ({"calculate_op": "COUNT", "op": ">", "value": "1"}, "havings[0].value"),
        ({"calculate_op": "COUNT", "op": ">", "value": True}, "havings[0].value"),
        ({"calculate_op": "COUNT", "op": ">", "value": float("nan")}, "havings[0].value"),
        ({"calculate_op": "COUNT", "op": ">"}, "havings[0].value"),
        ({"op": ">", "value": 1}, "havings[0].calculate_op"),
    ],
)
def test_no_other_havings(having: dict[str, Any], path: str) -> None:
    assert paths(GROUPED | {"havings": [having]}) == [path]


# limit, times, granularity


@pytest.mark.parametrize("limit", [1, 100, 1000])
def test_limits(limit: int) -> None:
    assert not problems({"limit": limit})


@pytest.mark.parametrize("limit", [0, -1, 1001, 100000, 10.0, True, False, "10", None, [10]])
def test_no_other_limits(limit: Any) -> None:
    assert paths({"limit": limit}) == ["limit"]


@pytest.mark.parametrize("key", ["time_range", "start_time", "end_time"])
@pytest.mark.parametrize("value", [0, -5, 1.5, True, "7200", None, []])
def test_times_are_whole_seconds(key: str, value: Any) -> None:
    assert key in paths({key: value})


@pytest.mark.parametrize(
    "query",
    [
        {"time_range": 1},
        {"start_time": 100},
        {"end_time": 100},
        {"start_time": 100, "time_range": 50},
        {"end_time": 100, "time_range": 50},
        {"start_time": 100, "end_time": 200},
        {"start_time": 100, "end_time": 100},
    ],
)
def test_any_two_of_the_three_times(query: dict[str, Any]) -> None:
    assert not problems(query)


def test_never_all_three_times() -> None:
    assert len(problems({"start_time": 100, "end_time": 200, "time_range": 100})) == 1


def test_the_end_is_not_before_the_start() -> None:
    assert paths({"start_time": 200, "end_time": 100}) == ["end_time"]


@pytest.mark.parametrize(
    ("query", "valid"),
    [
        ({"granularity": 8}, True),  # the default range of 7200 over 1000 is 7.2
        ({"granularity": 7}, False),
        ({"granularity": 7200}, True),
        ({"granularity": 7201}, False),
        ({"granularity": 1, "time_range": 1000}, True),
        ({"granularity": 1, "time_range": 1001}, False),
        ({"granularity": 600, "start_time": 1, "end_time": 6001}, True),
        ({"granularity": 6001, "start_time": 1, "end_time": 6001}, False),
        ({"granularity": 0}, False),
        ({"granularity": 60.0}, False),
        ({"granularity": True, "time_range": 100}, False),
        ({"granularity": "60"}, False),
        ({"granularity": None}, False),
    ],
)
def test_granularity(query: dict[str, Any], valid: bool) -> None:
    assert paths(query) == ([] if valid else ["granularity"])


def test_the_upper_bound_of_granularity_can_be_chosen() -> None:
    assert not problems({"granularity": 720}, fewest_points=10)
    assert paths({"granularity": 721}, fewest_points=10) == ["granularity"]


# the newer keys


@pytest.mark.parametrize("key", ["calculated_fields", "formulas"])
def test_named_expressions(key: str) -> None:
    assert not problems({key: [{"name": "fast", "expression": "LTE($duration_ms, 200)"}]})
    assert paths({key: [{"name": "fast"}]}) == [f"{key}[0].expression"]
    assert paths({key: [{"name": " ", "expression": 3}]}) == [f"{key}[0].name", f"{key}[0].expression"]


def test_a_calculated_field_is_a_column_and_a_formula_can_be_ordered_by() -> None:
    query = {
        "calculated_fields": [{"name": "fast", "expression": "LTE($d, 200)"}],
        "formulas": [{"name": "share", "expression": "DIV($a, $b)"}],
        "breakdowns": ["fast"],
        "orders": [{"column": "share"}],
    }
    assert not problems(query, columns=["d"])


@pytest.mark.parametrize(
    ("offset", "valid"), [(7200, True), (86400, True), (5000, False), (True, False), ("7200", False)]
)
def test_compare_offsets(offset: Any, valid: bool) -> None:
    assert paths({"compare_time_offset_seconds": offset}) == ([] if valid else ["compare_time_offset_seconds"])


def test_a_compare_offset_is_the_time_range_itself_or_longer() -> None:
    assert not problems({"compare_time_offset_seconds": 5000, "time_range": 5000})
    assert paths({"compare_time_offset_seconds": 3600}) == ["compare_time_offset_seconds"]


def test_usage_mode() -> None:
    assert not problems({"usage_mode": True})
    assert paths({"usage_mode": 1}) == ["usage_mode"]


# lists, keys, columns


LISTS = ["calculations", "filters", "breakdowns", "orders", "havings", "calculated_fields", "formulas"]


@pytest.mark.parametrize("key", LISTS)
@pytest.mark.parametrize("value", [None, "COUNT", {}, 3, True])
def test_lists_are_lists(key: str, value: Any) -> None:
    assert paths({key: value}) == [key]


@pytest.mark.parametrize("key", [name for name in LISTS if name != "breakdowns"])
@pytest.mark.parametrize("entry", [None, "COUNT", [], 3])
def test_entries_are_objects(key: str, entry: Any) -> None:
    assert paths({key: [entry]}) == [f"{key}[0]"]


def test_lists_have_at_most_100_entries() -> None:
    assert not problems({"breakdowns": ["a"] * 100})
    assert paths({"breakdowns": ["a"] * 101}) == ["breakdowns"]
    assert paths({"calculations": [{"op": "COUNT"}] * 101}) == ["calculations"]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"order": []}, "order"),
        ({"Calculations": []}, "Calculations"),
        ({"calculations": [{"op": "COUNT", "name": "n"}]}, "calculations[0].name"),
        (one_filter(column="a", op="exists", val=1), "filters[0].val"),
        ({"orders": [{"op": "COUNT", "direction": "descending"}]}, "orders[0].direction"),
        ({"havings": [{"calculate_op": "COUNT", "op": ">", "value": 1, "x": 1}]}, "havings[0].x"),
    ],
)
def test_unknown_keys_are_problems(query: dict[str, Any], path: str) -> None:
    assert paths(query) == [path]


def test_every_named_column_exists() -> None:
    query = {
        "breakdowns": ["b"],
        "calculations": [{"op": "AVG", "column": "c"}],
        "filters": [{"column": "f", "op": "exists"}],
        "orders": [{"column": "b"}],
        "havings": [{"calculate_op": "AVG", "column": "c", "op": ">", "value": 1}],
    }
    assert columns_exist(query, ["b", "c", "f"])
    missing = problems(query, columns=["x"])
    assert [problem.split(":")[0] for problem in missing] == [
        "breakdowns[0]",
        "calculations[0].column",
        "filters[0].column",
        "orders[0].column",
        "havings[0].column",
    ]


def test_all_problems_are_reported() -> None:
    query = {"limit": 0, "nope": 1, "calculations": [{"op": "X"}], "filters": [{"op": "in"}], "usage_mode": 0}
    assert sorted(paths(query)) == sorted(
        ["limit", "nope", "calculations[0].op", "filters[0].column", "filters[0].value", "usage_mode"]
    )


# what validators that people copy get wrong


@pytest.mark.parametrize("name", ["http", "method", "http.metho", "http.method ", "HTTP.METHOD"])
def test_hole_part_of_a_column_name(name: str) -> None:
    assert not columns_exist({"breakdowns": [name]}, ["http.method"])


@pytest.mark.parametrize("query", [[], [{"calculations": []}], None, 3, "COUNT", True, 1.5])
def test_hole_top_level_is_no_object(query: Any) -> None:
    assert len(problems(query, columns=["a"])) == 1
    assert "a query is a JSON object" in str(columns_exist(query, ["a"]))


def test_hole_apostrophe_in_a_value() -> None:
    assert not problems(one_filter(column="merchant", op="=", value="Joe's Diner"), columns=["merchant"])


def test_hole_in_without_a_value() -> None:
    assert paths(one_filter(column="a", op="in")) == ["filters[0].value"]


# any JSON at all

KEYS = [*LISTS, "filter_combination", "limit", "time_range", "start_time", "end_time", "granularity"]
KEYS += ["compare_time_offset_seconds", "usage_mode"]
INNER_KEYS = ["op", "column", "value", "order", "calculate_op", "name", "expression", "x"]
WORDS = [*NO_COLUMN, *COLUMN, *VALUE_OPS, "in", "not-in", "exists", "AND", "ascending", "a", "b", ""]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS + INNER_KEYS), inner, max_size=5),
)


QUERIES = st.fixed_dictionaries({}, optional=dict.fromkeys([*KEYS, "x"], ANY_JSON))


@settings(max_examples=150, deadline=None)
@given(ANY_JSON | QUERIES, ANY_JSON | QUERIES)
def test_no_json_value_makes_it_crash(value: Any, other: Any) -> None:
    found = problems(value, columns=["a"])
    assert all(": " in problem or "JSON object" in problem for problem in found)
    assert repr(valid_query(value, ["a"]))
    assert equivalent(value, value)
    assert bool(equivalent(value, other)) == bool(equivalent(other, value))


@pytest.mark.parametrize("depth", [300, 700, 900])
def test_deep_nesting_does_not_crash(depth: int) -> None:
    deep = json.loads("[" * depth + "]" * depth)
    for query in (deep, {"filters": deep}, {"limit": deep}, {"calculations": [{"op": deep}]}, {"breakdowns": [deep]}):
        assert not valid_query(query, ["a"])
        assert not equivalent(query, {})


def test_large_numbers_do_not_crash() -> None:
    query = json.loads('{"time_range": 1' + "0" * 400 + ', "granularity": 1, "limit": 1e999}')
    assert sorted(paths(query)) == ["granularity", "limit"]


def test_a_long_reply_is_shown_in_short() -> None:
    assert max(map(len, problems({"calculations": [{"op": "x" * 10_000}], "y" * 50: 1}))) < 500
