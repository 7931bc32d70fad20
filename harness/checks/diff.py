"""The shortest useful difference of two JSON values, by path."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any


def json_differences(have: Any, want: Any, path: str = "$", *, ordered: bool = True) -> Iterator[str]:
    """Yield each difference as ``path: have instead of want``, with "missing" and "unexpected" for what only one has.

    Lists are aligned first, so that one entry too many is one difference and not one for every entry after it.
    """
    if isinstance(have, Mapping) and isinstance(want, Mapping):
        yield from _object_differences(have, want, path, ordered)
    elif isinstance(have, list | tuple) and isinstance(want, list | tuple):
        compare = _list_differences if ordered else _bag_differences
        yield from compare(list(have), list(want), path, ordered)
    elif canonical(have) != canonical(want):
        yield f"{path}: {shown(have)} instead of {shown(want)}"


def canonical(value: Any, *, ordered: bool = True) -> str:
    """Return text that is equal for equal JSON values: key order does not matter, nor does 1 against 1.0."""
    return json.dumps(_normal(value, ordered), sort_keys=True, default=repr)


def shown(value: Any, width: int = 60) -> str:
    """Return ``value`` as JSON on one line, cut to ``width``."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _object_differences(have: Mapping[str, Any], want: Mapping[str, Any], path: str, ordered: bool) -> Iterator[str]:
    for key in want:
        if key not in have:
            yield f"{_member(path, key)}: missing, {shown(want[key])} expected"
        else:
            yield from json_differences(have[key], want[key], _member(path, key), ordered=ordered)
    yield from (f"{_member(path, key)}: unexpected {shown(have[key])}" for key in have if key not in want)


def _list_differences(have: list[Any], want: list[Any], path: str, ordered: bool) -> Iterator[str]:
    left, right = [canonical(value) for value in have], [canonical(value) for value in want]
    for _, i, i_end, j, j_end in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if left[i:i_end] == right[j:j_end]:
            continue
        paired = min(i_end - i, j_end - j)
        for step in range(paired):
            yield from json_differences(have[i + step], want[j + step], f"{path}[{i + step}]", ordered=ordered)
        yield from (f"{path}[{index}]: unexpected {shown(have[index])}" for index in range(i + paired, i_end))
        yield from (f"{path}[{index}]: missing, {shown(want[index])} expected" for index in range(j + paired, j_end))


def _bag_differences(have: list[Any], want: list[Any], path: str, ordered: bool) -> Iterator[str]:
    there = Counter(canonical(value, ordered=ordered) for value in have)
    wanted = Counter(canonical(value, ordered=ordered) for value in want)
    extra = _only(have, there - wanted, ordered)
    missing = _only(want, wanted - there, ordered)
    for value, other in zip(extra, missing, strict=False):
        yield f"{path}: {shown(value)} instead of {shown(other)}"
    yield from (f"{path}: unexpected {shown(value)}" for value in extra[len(missing) :])
    yield from (f"{path}: missing, {shown(value)} expected" for value in missing[len(extra) :])


def _only(values: list[Any], left: Counter[str], ordered: bool) -> list[Any]:
    found = []
    for value in values:
        key = canonical(value, ordered=ordered)
        if left[key] > 0:
            left[key] -= 1
            found.append(value)
    return found


def _normal(value: Any, ordered: bool) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _normal(member, ordered) for key, member in value.items()}
    if isinstance(value, list | tuple):
        members = [_normal(member, ordered) for member in value]
        return (
            members if ordered else sorted(members, key=lambda member: json.dumps(member, sort_keys=True, default=repr))
        )
    return value


def _member(path: str, key: str) -> str:
    return f"{path}.{key}" if str(key).isidentifier() else f"{path}[{json.dumps(str(key), ensure_ascii=False)}]"
