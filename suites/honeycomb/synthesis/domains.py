"""The domains that questions are about, read from ``domains.yml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import yaml

Kind = Literal["category", "text", "measure", "code", "flag", "id"]
Value = str | int | float | bool


@dataclass(frozen=True)
class Column:
    """A column: what it holds, and what people call it."""

    name: str
    kind: Kind
    called: tuple[str, ...]
    values: tuple[Value, ...]
    unit: str = ""
    starts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()


@dataclass(frozen=True)
class Domain:
    """What one team sends to Honeycomb: what an event is called, and its columns."""

    name: str
    nouns: tuple[str, ...]
    columns: Mapping[str, Column]


def load_domains() -> tuple[Domain, ...]:
    """Read the domains; two columns that are called the same, or one of an unknown kind, are errors."""
    domains = []
    path = Path(__file__).with_name("domains.yml")
    for name, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        columns = {key: _column(key, fields) for key, fields in entry["columns"].items()}
        called = [word.lower() for column in columns.values() for word in {*column.called, column.name}]
        if len(called) != len(set(called)):
            raise ValueError(f"{path.name}: {name}: two columns are called the same")
        domains.append(Domain(name, tuple(entry["nouns"]), columns))
    return tuple(domains)


def _column(name: str, fields: Mapping[str, object]) -> Column:
    if fields["kind"] not in get_args(Kind):
        raise ValueError(f"domains.yml: {name}: unknown kind {fields['kind']!r}")
    return Column(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})  # type: ignore[arg-type]
