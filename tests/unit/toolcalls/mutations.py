"""Replies near the right one: each right call, changed in every small way that matters to a checker."""

from collections.abc import Iterator
from typing import Any


def variants(arguments: dict[str, Any], answers: dict[str, list[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a label and changed arguments."""
    yield "unchanged", arguments
    yield "extra argument", {**arguments, "not_an_argument": 1}
    for name in arguments:
        yield f"{name} left out", {key: value for key, value in arguments.items() if key != name}
        for label, value in _values(arguments[name]):
            yield f"{name} {label}", {**arguments, name: value}
    for name, options in answers.items():
        for option in options:
            if option != "" and not _has_object(option):
                yield f"{name} as the answer {option!r}", {**arguments, name: option}


def _values(value: Any) -> Iterator[tuple[str, Any]]:
    yield "null", None
    yield "as text", str(value)
    yield "as a list", [value]
    yield "as an object", {"value": value}
    if isinstance(value, bool):
        yield "flipped", not value
        yield "as a number", int(value)
    elif isinstance(value, int):
        yield "one more", value + 1
        yield "as a float", float(value)
        yield "as a boolean", bool(value)
    elif isinstance(value, float):
        yield "a little more", value + 0.5
        yield "as an integer", int(value)
    elif isinstance(value, str):
        yield "upper case", value.upper()
        yield "spaced", f" {value.replace(' ', '  ')} "
        yield "dashed", value.replace(" ", "-")
        yield "other", f"{value}x"
        yield "empty", ""
    elif isinstance(value, list):
        yield "empty", []
        yield "turned round", value[::-1]
        yield "one more", [*value, value[0]] if value else [1]
        yield "one less", value[:-1]
        yield "upper case", [part.upper() if isinstance(part, str) else part for part in value]
        yield "items as texts", [str(part) for part in value]
        yield "items as floats", [float(part) if isinstance(part, int) else part for part in value]
        yield "items as integers", [int(part) if isinstance(part, float) else part for part in value]
        yield "items as booleans", [bool(part) for part in value]
    elif isinstance(value, dict):
        yield "empty", {}
        yield "one key more", {**value, "not_a_key": 1}
        for key in value:
            yield f"without {key}", {name: part for name, part in value.items() if name != key}
            yield f"other {key}", {**value, key: "other"}


def _has_object(option: Any) -> bool:
    """Inside an object the answers hold alternatives, so the option is not itself a value."""
    return isinstance(option, dict) or (isinstance(option, list) and any(map(_has_object, option)))
