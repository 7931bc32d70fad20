"""What a valid Honeycomb query is: every rule, on any JSON value, with all problems found.

The rules are those of Honeycomb's query specification. Nothing here raises on a malformed query: a
reply may be any JSON value at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from harness.checks.check import Check
from suites.honeycomb.spec import (
    CALCULATIONS,
    COMBINATIONS,
    COMPARISONS,
    DEFAULT_LIMIT,
    DEFAULT_TIME_RANGE,
    DIRECTIONS,
    FILTERS,
    KEYS,
    LISTS,
    LONGEST_LIST,
    MAX_LIMIT,
    MEMBERSHIP,
    MOST_POINTS,
    OFFSETS,
    PRESENCE,
    RANKABLE,
    WITH_COLUMN,
    WITHOUT_COLUMN,
)
from suites.honeycomb.values import is_integer, is_number, is_scalar, is_time, nearest, show


def valid_query(query: Any, columns: Collection[str] | None = None, *, fewest_points: int = 1) -> Check:
    """Check that ``query`` is a valid Honeycomb query.

    Args:
        query: any JSON value.
        columns: the columns that exist; None leaves out whether the named ones do.
        fewest_points: granularity is at most the time range over this (sources disagree: 1 or 10).
    """
    return Check.of("valid_query", problems(query, columns, fewest_points=fewest_points))


def columns_exist(query: Any, columns: Collection[str]) -> Check:
    """Check that ``query`` is an object and each column it names one of ``columns``, exactly as written there."""
    return Check.of("columns_exist", _no_object(query) or tuple(_missing_columns(query, columns)))


def problems(query: Any, columns: Collection[str] | None = None, *, fewest_points: int = 1) -> tuple[str, ...]:
    """Return every problem of ``query``, each as ``path: what is wrong``; none when it is valid."""
    if none := _no_object(query):
        return none
    found = [f"{key}: unknown key{nearest(key, KEYS)}" for key in query if key not in KEYS]
    for path, entry in _entries(query, found):
        found.extend(_ENTRY_RULES[path.partition("[")[0]](path, entry, query))
    found.extend(_breakdown_problems(query))
    found.extend(_scalar_problems(query))
    found.extend(_time_problems(query, fewest_points))
    if columns is not None:
        found.extend(_missing_columns(query, columns))
    return tuple(found)


def _no_object(query: Any) -> tuple[str, ...]:
    return () if isinstance(query, dict) else (f"a query is a JSON object, not {show(query)}",)


def named_columns(query: Any) -> Iterator[tuple[str, str]]:
    """Yield (path, column) for each place where ``query`` names a column; malformed parts name none."""
    if not isinstance(query, dict):
        return
    for index, name in enumerate(_list(query, "breakdowns")):
        if isinstance(name, str):
            yield f"breakdowns[{index}]", name
    for key in ("calculations", "filters", "orders", "havings"):
        for index, entry in enumerate(_list(query, key)):
            if isinstance(entry, dict) and isinstance(entry.get("column"), str):
                yield f"{key}[{index}].column", entry["column"]


def calculated(query: Mapping[str, Any]) -> tuple[tuple[str, str | None], ...]:
    """Return the (op, column) of each calculation; COUNT where there is none."""
    pairs = tuple(
        (entry["op"], _column(entry))
        for entry in _list(query, "calculations")
        if isinstance(entry, dict) and isinstance(entry.get("op"), str)
    )
    return pairs or (("COUNT", None),)


def duration(query: Mapping[str, Any]) -> int | None:
    """Return the seconds a query covers; None where its times are malformed."""
    start, end = query.get("start_time"), query.get("end_time")
    if start is not None and end is not None:
        return end - start if is_time(start) and is_time(end) and start <= end else None
    span = query.get("time_range", DEFAULT_TIME_RANGE)
    return span if is_time(span) else None


def _missing_columns(query: Any, columns: Collection[str]) -> Iterator[str]:
    known = set(columns)
    if isinstance(query, dict):
        named = [entry.get("name") for entry in _list(query, "calculated_fields") if isinstance(entry, dict)]
        known.update(name for name in named if isinstance(name, str))
    formulas = _names(query, "formulas") if isinstance(query, dict) else set()
    for path, name in named_columns(query):
        if name not in known and not (path.startswith("orders") and name in formulas):
            yield f"{path}: no column {show(name)}{nearest(name, sorted(known))}"


def _entries(query: Mapping[str, Any], found: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (path, entry) of the lists of objects, noting lists and entries that are not what they should be."""
    for key, allowed in LISTS.items():
        found.extend(_list_problems(query, key))
        for index, entry in enumerate(_list(query, key)):
            path = f"{key}[{index}]"
            if not isinstance(entry, dict):
                found.append(f"{path}: an object with {', '.join(allowed)}, not {show(entry)}")
                continue
            found.extend(f"{path}.{name}: unknown key{nearest(name, allowed)}" for name in entry if name not in allowed)
            yield path, entry


def _list_problems(query: Mapping[str, Any], key: str) -> Iterator[str]:
    if key in query and not isinstance(query[key], list):
        yield f"{key}: a list, not {show(query[key])}"
    elif len(_list(query, key)) > LONGEST_LIST:
        yield f"{key}: at most {LONGEST_LIST} entries, not {len(query[key])}"


def _calculation_problems(path: str, entry: Mapping[str, Any], _: Mapping[str, Any]) -> Iterator[str]:
    yield from _operation_problems(path, "op", entry, CALCULATIONS)


def _operation_problems(path: str, key: str, entry: Mapping[str, Any], allowed: Sequence[str]) -> Iterator[str]:
    """Check a calculation's operator, under ``key``, and the column it takes or does not take."""
    op, column = entry.get(key), entry.get("column")
    yield from _choice_problems(f"{path}.{key}", op, allowed)
    if column is not None and not (isinstance(column, str) and column):
        yield f"{path}.column: a column's name, not {show(column)}"
    elif op in WITHOUT_COLUMN and column is not None:
        yield f"{path}.column: {op} takes no column, not {show(column)}"
    elif op in WITH_COLUMN and column is None:
        yield f"{path}.column: {op} needs a column"


def _filter_problems(path: str, entry: Mapping[str, Any], _: Mapping[str, Any]) -> Iterator[str]:
    op, column, value = entry.get("op"), entry.get("column"), entry.get("value")
    if not (isinstance(column, str) and column):
        yield f"{path}.column: a column's name, not {show(column)}"
    yield from _choice_problems(f"{path}.op", op, FILTERS)
    if entry.get("join_column", "") != "":
        yield f"{path}.join_column: only an empty string is tolerated, not {show(entry['join_column'])}"
    if op in PRESENCE:
        if value is not None:
            yield f"{path}.value: {op} takes no value, not {show(value)}"
    elif op in MEMBERSHIP:
        yield from _member_problems(path, str(op), value)
    elif not is_scalar(value):
        yield f"{path}.value: a string, a number or a boolean, not {show(value)}"


def _member_problems(path: str, op: str, value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        yield f"{path}.value: {op} takes a list of values, not {show(value)}"
    elif len(value) > LONGEST_LIST:
        yield f"{path}.value: at most {LONGEST_LIST} values, not {len(value)}"
    else:
        for index, member in enumerate(value):
            if not is_scalar(member):
                yield f"{path}.value[{index}]: a string, a number or a boolean, not {show(member)}"


def _order_problems(path: str, entry: Mapping[str, Any], query: Mapping[str, Any]) -> Iterator[str]:
    op, column = entry.get("op"), entry.get("column")
    if "order" in entry:
        yield from _choice_problems(f"{path}.order", entry["order"], DIRECTIONS)
    if column is not None and not isinstance(column, str):
        yield f"{path}.column: a column's name, not {show(column)}"
    elif op is None:
        names = [name for name in _list(query, "breakdowns") if isinstance(name, str)]
        if column not in names and column not in _names(query, "formulas"):
            yield f"{path}: orders by {show(column)}, which is not a breakdown (breakdowns: {show(names)})"
    else:
        yield from _choice_problems(f"{path}.op", op, RANKABLE)
        if op in RANKABLE and (op, column) not in calculated(query):
            yield f"{path}: orders by {_call(op, column)}, which is not calculated (calculations: {_calls(query)})"


def _having_problems(path: str, entry: Mapping[str, Any], query: Mapping[str, Any]) -> Iterator[str]:
    op, column, value = entry.get("calculate_op"), entry.get("column"), entry.get("value")
    found = list(_operation_problems(path, "calculate_op", entry, RANKABLE))
    yield from found
    if not found and (op, column) not in calculated(query):
        yield f"{path}: filters on {_call(str(op), column)}, which is not calculated (calculations: {_calls(query)})"
    yield from _choice_problems(f"{path}.op", entry.get("op"), COMPARISONS)
    if not is_number(value):
        yield f"{path}.value: a number, not {show(value)}"


def _named_problems(path: str, entry: Mapping[str, Any], _: Mapping[str, Any]) -> Iterator[str]:
    for key in ("name", "expression"):
        if not (isinstance(entry.get(key), str) and entry[key].strip()):
            yield f"{path}.{key}: a string that is not empty, not {show(entry.get(key))}"


_ENTRY_RULES = {
    "calculations": _calculation_problems,
    "filters": _filter_problems,
    "orders": _order_problems,
    "havings": _having_problems,
    "calculated_fields": _named_problems,
    "formulas": _named_problems,
}


def _breakdown_problems(query: Mapping[str, Any]) -> Iterator[str]:
    yield from _list_problems(query, "breakdowns")
    for index, name in enumerate(_list(query, "breakdowns")):
        if not (isinstance(name, str) and name):
            yield f"breakdowns[{index}]: a column's name, not {show(name)}"


def _scalar_problems(query: Mapping[str, Any]) -> Iterator[str]:
    if "filter_combination" in query:
        yield from _choice_problems("filter_combination", query["filter_combination"], COMBINATIONS)
    limit = query.get("limit", DEFAULT_LIMIT)
    if not (is_integer(limit) and 1 <= limit <= MAX_LIMIT):
        yield f"limit: an integer from 1 to {MAX_LIMIT}, not {show(limit)}"
    if not isinstance(query.get("usage_mode", False), bool):
        yield f"usage_mode: true or false, not {show(query['usage_mode'])}"


def _time_problems(query: Mapping[str, Any], fewest_points: int) -> Iterator[str]:
    times = [key for key in ("start_time", "end_time", "time_range") if key in query]
    for key in times:
        if not is_time(query[key]):
            yield f"{key}: an integer of at least 1, in seconds, not {show(query[key])}"
    if len(times) == 3:
        yield "start_time, end_time, time_range: any two of them, not all three"
    start, end, span = query.get("start_time"), query.get("end_time"), duration(query)
    if is_time(start) and is_time(end) and end < start:
        yield f"end_time: {show(end)} is before start_time {show(start)}"
    if "granularity" in query:
        yield from _granularity_problems(query["granularity"], span, fewest_points)
    if "compare_time_offset_seconds" in query:
        yield from _offset_problems(query["compare_time_offset_seconds"], span)


def _granularity_problems(value: Any, span: int | None, fewest_points: int) -> Iterator[str]:
    if not is_time(value):
        yield f"granularity: an integer of at least 1, in seconds, not {show(value)}"
    elif span is not None and not span <= value * MOST_POINTS <= span * MOST_POINTS // fewest_points:
        allowed = f"{show(-(-span // MOST_POINTS))} to {show(span // fewest_points)}"
        yield f"granularity: {allowed} seconds for a time range of {show(span)}, not {show(value)}"


def _offset_problems(value: Any, span: int | None) -> Iterator[str]:
    if not is_integer(value) or (value not in OFFSETS and value != span):
        allowed = ", ".join(map(str, OFFSETS))
        yield f"compare_time_offset_seconds: one of {allowed}, or the time range itself, not {show(value)}"
    elif span is not None and value < span:
        yield f"compare_time_offset_seconds: at least the time range of {show(span)}, not {value}"


def _choice_problems(path: str, value: Any, allowed: Sequence[str]) -> Iterator[str]:
    if not (isinstance(value, str) and value in allowed):
        yield f"{path}: {show(value)} is not one of {' '.join(allowed)}{nearest(value, allowed)}"


def _list(query: Mapping[str, Any], key: str) -> list[Any]:
    value = query.get(key)
    return value if isinstance(value, list) else []


def _column(entry: Mapping[str, Any]) -> str | None:
    column = entry.get("column")
    return column if isinstance(column, str) else None


def _names(query: Mapping[str, Any], key: str) -> set[str]:
    entries = (entry for entry in _list(query, key) if isinstance(entry, dict))
    return {entry["name"] for entry in entries if isinstance(entry.get("name"), str)}


def _call(op: str, column: str | None) -> str:
    return f"{op}({column})" if column else op


def _calls(query: Mapping[str, Any]) -> str:
    return ", ".join(_call(*pair) for pair in calculated(query))
