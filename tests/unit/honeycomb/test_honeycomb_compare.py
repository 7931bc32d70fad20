from __future__ import annotations

from typing import Any

import pytest

from suites.honeycomb.compare import equivalent, skeleton

COUNT = [{"op": "COUNT"}]
AVG = {"op": "AVG", "column": "d"}
A = {"column": "a", "op": "=", "value": "x"}
B = {"column": "b", "op": ">", "value": 5}
IN = {"column": "a", "op": "in"}


def filters(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"filters": list(entries), **more}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"calculations": COUNT}),
        ({}, {"calculations": [], "breakdowns": [], "filters": [], "havings": [], "orders": []}),
        ({}, {"time_range": 7200, "limit": 100, "filter_combination": "AND", "usage_mode": False}),
        ({"calculations": [{"op": "COUNT", "column": None}]}, {"calculations": COUNT}),
        (filters(A, B), filters(B, A)),
        (filters(A, A), filters(A)),
        (filters(A | {"join_column": ""}), filters(A)),
        (filters({"value": "x", "op": "=", "column": "a"}), filters(A)),
        (filters(A, filter_combination="OR"), filters(A)),
        (filters(A, A, filter_combination="OR"), filters(A)),
        (filters(filter_combination="OR"), {}),
        (
            filters({"column": "a", "op": "in", "value": [1, 2]}),
            filters({"column": "a", "op": "in", "value": [2, 1, 2]}),
        ),
        (filters({"column": "a", "op": "exists", "value": None}), filters({"column": "a", "op": "exists"})),
        (filters({"column": "b", "op": ">", "value": 5.0}), filters(B)),
        ({"orders": [{"op": "COUNT"}]}, {"orders": [{"op": "COUNT", "order": "ascending"}]}),
        ({"start_time": 100, "end_time": 7300}, {"start_time": 100}),
        ({"start_time": 100, "end_time": 160}, {"start_time": 100, "time_range": 60}),
        ({"start_time": 100, "end_time": 160}, {"end_time": 160, "time_range": 60}),
        (
            {"havings": [{"calculate_op": "COUNT", "op": ">", "value": v} for v in (1, 2)]},
            {"havings": [{"calculate_op": "COUNT", "op": ">", "value": v} for v in (2, 1)]},
        ),
    ],
)
def test_the_same_question(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize(
    ("query", "expected", "reason"),
    [
        ({"calculations": [AVG]}, {}, 'calculations[0]: {"op": "AVG", "column": "d"} instead of {"op": "COUNT"}'),
        ({"calculations": [AVG, *COUNT]}, {"calculations": [*COUNT, AVG]}, "calculations[0]"),
        ({"breakdowns": ["a", "b"]}, {"breakdowns": ["b", "a"]}, 'breakdowns[0]: "a" instead of "b"'),
        ({"breakdowns": ["a"]}, {}, 'breakdowns: ["a"] instead of []'),
        (filters(A), filters(A | {"value": "y"}), "filters: "),
        (filters(A), filters(A, B), '{"column": "b", "op": ">", "value": 5} is missing'),
        (filters(A, B), filters(A), '{"column": "b", "op": ">", "value": 5} is not asked for'),
        (filters(A, B, filter_combination="OR"), filters(A, B), 'filter_combination: "OR" instead of "AND"'),
        (filters(A | {"join_column": "b"}), filters(A), "filters: "),
        (filters(B | {"value": "5"}), filters(B), "filters: "),
        (filters(B | {"value": 1}), filters(B | {"value": True}), "filters: "),
        ({"limit": 10}, {}, "limit: 10 instead of 100"),
        ({"time_range": 3600}, {}, 'time: {"range": 3600} instead of {"range": 7200}'),
        ({"start_time": 100}, {}, "time: "),
        ({"granularity": 60}, {}, "granularity: 60 instead of nothing"),
        ({"orders": [{"op": "COUNT", "order": "descending"}]}, {"orders": [{"op": "COUNT"}]}, "orders[0]"),
        ({"usage_mode": True}, {}, "usage_mode: true instead of false"),
        ({"compare_time_offset_seconds": 86400}, {}, "compare_time_offset_seconds"),
        ({"nonsense": 1}, {}, "nonsense: 1 instead of nothing"),
    ],
)
def test_another_question(query: dict[str, Any], expected: dict[str, Any], reason: str) -> None:
    check = equivalent(query, expected)
    assert not check
    assert reason in check.reason
    assert not equivalent(expected, query)


def test_every_difference_is_named() -> None:
    check = equivalent({"limit": 5, "time_range": 60, "breakdowns": ["a"]}, {"breakdowns": ["b"]})
    assert [line.split(":")[0] for line in check.reason.splitlines()] == [
        "3 problems",
        "breakdowns[0]",
        "limit",
        "time",
    ]


@pytest.mark.parametrize("value", [None, 3, [], "COUNT", True])
def test_other_json_equals_no_query(value: Any) -> None:
    assert not equivalent(value, {})
    assert not equivalent({}, value)


@pytest.mark.parametrize("value", [{"filters": None}, {"filters": 3}, {"filters": ["x"]}, {"start_time": "x"}])
def test_malformed_parts_equal_only_themselves(value: dict[str, Any]) -> None:
    assert equivalent(value, dict(value))
    assert bool(equivalent(value, {})) == (value["filters"] is None if "filters" in value else False)


def test_a_skeleton_has_no_columns_values_or_numbers() -> None:
    query = {
        "calculations": [AVG, *COUNT],
        "breakdowns": ["a", "b"],
        "filters": [B, A],
        "filter_combination": "OR",
        "havings": [{"calculate_op": "AVG", "column": "d", "op": ">", "value": 3}],
        "orders": [{"op": "AVG", "column": "d", "order": "descending"}, {"column": "a"}],
        "limit": 7,
        "time_range": 600,
        "granularity": 60,
    }
    wanted = (
        "AVG COUNT | by 2 | where or = > | having AVG > | top AVG descending breakdown ascending | last | granularity"
    )
    assert skeleton(query) == wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, "COUNT"),
        ({"time_range": 7200}, "COUNT"),
        ({"start_time": 5, "end_time": 9}, "COUNT | between"),
        ({"limit": 5}, "COUNT | limit"),
        ({"orders": [{"op": "COUNT"}]}, "COUNT | order COUNT ascending"),
        (filters(A), "COUNT | where ="),
    ],
)
def test_skeletons(query: dict[str, Any], wanted: str) -> None:
    assert skeleton(query) == wanted
