"""JSON text of nouns, without building their plain data first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FIELD_NAMES: dict[type, tuple[str, ...]] = {}


def _field_names(kind: type) -> tuple[str, ...]:
    names = _FIELD_NAMES.get(kind)
    if names is None:
        names = _FIELD_NAMES[kind] = tuple(getattr(kind, "__dataclass_fields__", ()))
    return names


def plain(value: Any) -> Any:
    """Return one level of ``value`` as JSON data, for an encoder that does not know it.

    Encoders call this only for nouns, mappings and paths: several times faster than
    :func:`harness.types.to_json` on everything.

    Raises:
        TypeError: it has no JSON form.
    """
    if names := _field_names(type(value)):
        return {name: getattr(value, name) for name in names}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form: {value!r:.200}")


_COMPACT = json.JSONEncoder(separators=(",", ":"), default=plain)


def compact_json(value: Any) -> str:
    """Return ``value`` (a noun, or JSON data) as one line of ASCII; the same data as ``to_json`` gives.

    Raises:
        TypeError: it holds something that has no JSON form.
    """
    return _COMPACT.encode(value)
