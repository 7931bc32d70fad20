"""Values from the command line that replace those of the file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.config.marks import KeyPath, parse_value
from harness.errors import ConfigError, Problem

_PART = re.compile(r"([A-Za-z_][\w-]*)|\[(\d+)\]")
_OF_THE_OLD_ROWS = ("split", "name", "revision", "data_files", "ds_type")


@dataclass
class Overrides:
    """Which keys were replaced, and what was wrong with the requests."""

    origins: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, path: KeyPath) -> str | None:
        """Return the request that set ``path`` or something it is part of."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return None


def apply_overrides(values: dict[str, Any], requests: Sequence[str], data: Path | str | None) -> Overrides:
    """Change ``values`` in place as ``data`` and then the ``key=value`` requests say."""
    done = Overrides()
    if data is not None:
        _replace_data(values, data, done)
    for request in requests:
        try:
            path, value = _parse_request(request)
            _assign(values, path, value)
        except ValueError as error:
            done.problems.append(Problem(str(error), f"--set {request}"))
        else:
            done.origins[path] = f"--set {request}"
    return done


def _replace_data(values: dict[str, Any], data: Path | str, done: Overrides) -> None:
    datasets = values.get("datasets")
    if not isinstance(datasets, list) or len(datasets) != 1 or not isinstance(datasets[0], dict):
        count = len(datasets) if isinstance(datasets, list) else 0
        message = (
            f"takes the place of a single data set, and this config has {count}; "
            "name them all instead: --set 'datasets=[{path: …, type: …}]'"
        )
        done.problems.append(Problem(message, f"--data {data}"))
        return
    # What picked rows of the old file (a slice, a split's name) says nothing about the new one.
    kept = {name: value for name, value in datasets[0].items() if name not in _OF_THE_OLD_ROWS}
    values["datasets"] = [{**kept, "path": str(data)}]
    done.origins[("datasets", 0, "path")] = f"--data {data}"


def _parse_request(request: str) -> tuple[KeyPath, Any]:
    name, equals, text = request.partition("=")
    if not equals:
        raise ValueError("there is no `=`; write key=value")
    path = _parse_path(name.strip())
    try:
        return path, parse_value(text)
    except ConfigError as error:
        said = error.problems[0].message if error.problems else str(error)
        raise ValueError(f"the value cannot be read ({said}); put quotes around a text") from None


def _parse_path(name: str) -> KeyPath:
    parts: list[str | int] = []
    position = 0
    while position < len(name):
        if parts and name[position] == ".":
            position += 1
        found = _PART.match(name, position)
        if not found or (found[2] and not parts):
            break
        parts.append(found[1] if found[1] else int(found[2]))
        position = found.end()
    if not parts or position != len(name):
        raise ValueError(f"{name!r} is not the name of a key; write lora_r, serve.dtype or datasets[0].split")
    return tuple(parts)


def _assign(values: dict[str, Any], path: KeyPath, value: Any) -> None:
    at: Any = values
    for position, part in enumerate(path):
        shown = show_path(path[:position]) or "the config"
        last = position == len(path) - 1
        if isinstance(part, int):
            if not isinstance(at, list):
                raise ValueError(f"{shown} is not a list")
            if part >= len(at):
                raise ValueError(f"{shown} has {len(at)} entries; the last is [{len(at) - 1}]")
        elif isinstance(at, list):
            raise ValueError(f"{shown} is a list; write {shown}[0].{part}")
        elif not isinstance(at, dict):
            raise ValueError(f"{shown} is a single value and has no keys")
        if last:
            at[part] = value
        elif isinstance(part, str) and at.get(part) is None:
            at[part] = {}
        at = at[part]


def show_path(path: KeyPath) -> str:
    """Return ``path`` as a user writes it: ``datasets[0].split``."""
    shown = ""
    for part in path:
        shown += f"[{part}]" if isinstance(part, int) else f".{part}" if shown else part
    return shown
