"""Whether two Honeycomb queries ask the same, and the structure that a query shares with its kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from harness.checks.check import Check
from suites.honeycomb.spec import DEFAULT_LIMIT, DEFAULT_TIME_RANGE, MEMBERSHIP, PRESENCE

SETS = ("filters", "havings")


def with_defaults(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``query`` in full: every default filled in, every tolerated spelling brought to one.

    Times become (start, end) where they are absolute and a range where they are relative. Parts that
    are malformed are left as they are, so that they equal only themselves.
    """
    full: dict[str, Any] = {
        **{key: value for key, value in query.items() if key not in ("time_range", "start_time", "end_time")},
        "calculations": _each(query.get("calculations") or [{"op": "COUNT"}], _without_nulls),
        "breakdowns": query.get("breakdowns") or [],
        "filters": _each(query.get("filters") or [], _filter),
        "havings": _each(query.get("havings") or [], _without_nulls),
        "orders": _each(query.get("orders") or [], _order),
        "limit": query.get("limit", DEFAULT_LIMIT),
        "usage_mode": query.get("usage_mode", False),
        "calculated_fields": query.get("calculated_fields") or [],
        "formulas": query.get("formulas") or [],
        "time": _time(query),
    }
    full["filter_combination"] = _combination(query, full["filters"])
    return full


def equivalent(query: Any, expected: Any) -> Check:
    """Check that ``query`` asks what ``expected`` does.

    After filling the defaults, calculations, breakdowns and orders agree in order, filters and havings
    as sets, everything else as values. The reason lists each difference, by path.
    """
    try:
        return Check.of("equivalent", tuple(_query_differences(query, expected)))
    except RecursionError:
        return Check("equivalent", False, "nested too deeply to be compared")


def skeleton(query: Mapping[str, Any]) -> str:
    """Return the structure of a valid query: its operators and shape, no column, no value, no number.

    ``AVG | by 1 | where != >= | top AVG descending | last`` for a query with one average, one
    breakdown, two filters, an order and a time range of its own.
    """
    full = with_defaults(query)
    parts = [" ".join(entry["op"] for entry in full["calculations"])]
    if full["breakdowns"]:
        parts.append(f"by {len(full['breakdowns'])}")
    if full["filters"]:
        combined = " or" if full["filter_combination"] == "OR" else ""
        parts.append(f"where{combined} " + " ".join(sorted(entry["op"] for entry in full["filters"])))
    if full["havings"]:
        parts.append("having " + " ".join(sorted(f"{h['calculate_op']} {h['op']}" for h in full["havings"])))
    if full["orders"]:
        ranked = " ".join(f"{order.get('op', 'breakdown')} {order['order']}" for order in full["orders"])
        parts.append(f"{'top' if full['limit'] != DEFAULT_LIMIT else 'order'} {ranked}")
    elif full["limit"] != DEFAULT_LIMIT:
        parts.append("limit")
    if full["time"] != {"range": DEFAULT_TIME_RANGE}:
        parts.append("last" if "range" in full["time"] else "between")
    parts.extend(key for key in ("granularity", "compare_time_offset_seconds") if key in full)
    parts.extend(key for key in ("calculated_fields", "formulas", "usage_mode") if full[key])
    return " | ".join(parts)


def _query_differences(query: Any, expected: Any) -> Iterator[str]:
    if not (isinstance(query, dict) and isinstance(expected, dict)):
        if isinstance(query, dict) or _canonical(query) != _canonical(expected):
            yield f"{_short(query)} instead of {_short(expected)}"
        return
    have, want = with_defaults(query), with_defaults(expected)
    for key in sorted(have.keys() | want.keys(), key=_position):
        yield from _differences(key, have.get(key), want.get(key))


def _each(entries: Any, reading: Any) -> Any:
    if not isinstance(entries, list):
        return entries
    return [reading(entry) if isinstance(entry, dict) else entry for entry in entries]


def _without_nulls(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value is not None}


def _filter(entry: Mapping[str, Any]) -> dict[str, Any]:
    full = {key: value for key, value in entry.items() if (key, value) != ("join_column", "")}
    if full.get("op") in PRESENCE and full.get("value") is None:
        full.pop("value", None)
    if full.get("op") in MEMBERSHIP and isinstance(full.get("value"), list):
        full["value"] = _distinct(full["value"])
    return full


def _order(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"order": "ascending", **_without_nulls(entry)}


def _combination(query: Mapping[str, Any], filters: Any) -> Any:
    """With fewer than two filters there is nothing to combine: AND and OR say the same."""
    given = query.get("filter_combination", "AND")
    single = isinstance(filters, list) and len(_distinct(filters)) < 2
    return "AND" if single and given == "OR" else given


def _time(query: Mapping[str, Any]) -> dict[str, Any]:
    start, end = query.get("start_time"), query.get("end_time")
    span = query.get("time_range", DEFAULT_TIME_RANGE)
    if start is None and end is None:
        return {"range": span}
    if start is not None and end is not None:
        return {"start": start, "end": end} | ({"range": span} if "time_range" in query else {})
    known = start if end is None else end
    if type(known) is not int or type(span) is not int:
        return {"start": start, "end": end, "range": span}
    return {"start": known, "end": known + span} if end is None else {"start": known - span, "end": known}


def _distinct(values: list[Any]) -> list[Any]:
    """Return ``values`` as a set that can be written as JSON: without repetitions, in one order."""
    return [value for _, value in sorted({_canonical(value): value for value in values}.items())]


def _differences(path: str, have: Any, want: Any) -> Iterator[str]:
    if path in SETS and isinstance(have, list) and isinstance(want, list):
        missing, extra = _minus(want, have), _minus(have, want)
        yield from (
            f"{path}: {_short(entry)} instead of {_short(other)}" for entry, other in zip(extra, missing, strict=False)
        )
        yield from (f"{path}: {_short(entry)} is not asked for" for entry in extra[len(missing) :])
        yield from (f"{path}: {_short(entry)} is missing" for entry in missing[len(extra) :])
    elif isinstance(have, list) and isinstance(want, list) and len(have) == len(want):
        for index, (left, right) in enumerate(zip(have, want, strict=True)):
            yield from _differences(f"{path}[{index}]", left, right)
    elif _canonical(have) != _canonical(want):
        yield f"{path}: {_short(have)} instead of {_short(want)}"


def _minus(left: list[Any], right: list[Any]) -> list[Any]:
    there = {_canonical(entry) for entry in right}
    return [entry for entry in _distinct(left) if _canonical(entry) not in there]


def _canonical(value: Any) -> str:
    """Return JSON text equal for equal values: key order does not matter, nor does 1 against 1.0; true is not 1."""
    return json.dumps(_plain_numbers(value), sort_keys=True)


def _plain_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain_numbers(member) for member in value]
    if isinstance(value, dict):
        return {key: _plain_numbers(member) for key, member in value.items()}
    return value


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 90 else f"{text[:87]}…"


_ORDER = ("calculations", "breakdowns", "filters", "filter_combination", "havings", "orders", "limit", "time")


def _position(key: str) -> tuple[int, str]:
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), key)
