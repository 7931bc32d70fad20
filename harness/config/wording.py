"""Says what is wrong with a value in the words of the YAML."""

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from harness.config.fields import fields_of, section_of, traits_of
from harness.config.marks import KeyPath
from harness.config.overrides import show_path
from harness.config.unknown import unknown_key

_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "finite_number": "a finite number",
}
_LIMITS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 120
_FOLLOWS_FROM_ANOTHER = "default_factory_not_called"


def explain(errors: Iterable[ErrorDetails], model: type[BaseModel], values: Any) -> dict[KeyPath, str]:
    """Return one message for each key that ``errors`` are about."""
    found: dict[KeyPath, str] = {}
    for error in errors:
        path = _real_path(error, values)
        if error["type"] == _FOLLOWS_FROM_ANOTHER or (error["type"] == "too_short" and _value_at(values, path)):
            continue  # the key that it follows from, or the entry that is wrong, has its own error
        if path not in found:
            found[path] = _message(error, path, model, _value_at(values, path))
    return found


def _real_path(error: ErrorDetails, values: Any) -> KeyPath:
    """Drop what pydantic adds to a location, such as the branch of a union."""
    path: list[str | int] = []
    at = values
    location = error["loc"]
    for position, part in enumerate(location):
        known = (isinstance(at, Mapping) and part in at) or (isinstance(at, list) and isinstance(part, int))
        if not known and not (error["type"] == "missing" and position == len(location) - 1):
            break
        path.append(part)
        at = at[part] if known else None
    return tuple(path)


def _value_at(values: Any, path: KeyPath) -> Any:
    for part in path:
        if isinstance(values, Mapping):
            values = values.get(part)
        elif isinstance(values, list) and isinstance(part, int):
            values = values[part]
    return values


def _message(error: ErrorDetails, path: KeyPath, model: type[BaseModel], value: Any) -> str:
    kind, context, shown = error["type"], error.get("ctx", {}), show_path(path)
    owner = _owner(model, path)
    if kind == "missing":
        return _missing(path, owner)
    if kind == "extra_forbidden":
        return unknown_key(path, owner, model)
    given = f"{shown}: {_show(value)}"
    allowed = _allowed(owner, path)
    if kind == "value_error":
        return f"{given} {context.get('error', error['msg'])}"
    if allowed:
        return f"{given} is not allowed; it must be {allowed}"
    if kind == "literal_error":
        return f"{given} is not allowed; {_choices(str(context['expected']), value)}"
    if kind in _LIMITS:
        words, name = _LIMITS[kind]
        return f"{given} is not allowed; it must be {words} {show_limit(context[name])}"
    if kind in _TYPES:
        return f"{given} is {_describe(value)}; it must be {_TYPES[kind]}{_advice(kind, value)}"
    if kind in ("too_short", "string_too_short"):
        return f"{shown} is empty; give at least one"
    return f"{given}: {error['msg']}"


def show_limit(limit: float) -> str:
    """Return a limit as a user writes it: 0, not 0.0."""
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def _missing(path: KeyPath, owner: type[BaseModel] | None) -> str:
    field = fields_of(owner).get(str(path[-1])) if owner else None
    allowed = traits_of(field).allowed if field else None
    help_text = allowed or (field.description or "").split(":")[0].rstrip(".").lower() if field else ""
    return f"{show_path(path)} is missing" + (f": {help_text}" if help_text else "")


def _allowed(owner: type[BaseModel] | None, path: KeyPath) -> str | None:
    field = fields_of(owner).get(str(path[-1])) if owner and path else None
    return traits_of(field).allowed if field else None


def _owner(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """Return the section whose key ``path`` ends in."""
    current = model
    for position, part in enumerate(path[:-1]):
        if isinstance(part, int):
            continue
        field = fields_of(current).get(part)
        section = section_of(field) if field else None
        if section is None:
            return current if all(isinstance(rest, int) for rest in path[position + 1 :]) else None
        current = section[0]
    return current


def _choices(expected: str, value: Any) -> str:
    options = [option.strip().strip("'") for option in expected.replace(" or ", ", ").split(", ")]
    near = difflib.get_close_matches(str(value), options, 1, 0.6)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}allowed: {', '.join(options)}" if len(options) > 1 else f"allowed: {options[0]}"


def _show(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else _SHORT.repr(value)


def _describe(value: Any) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "keys and values",
    }
    return names.get(type(value), "something else")


def _advice(kind: str, value: Any) -> str:
    if kind in ("int_type", "float_type", "bool_type") and isinstance(value, str):
        return " (without quotes)"
    if kind == "tuple_type" and isinstance(value, str):
        return f": [{value}]"
    if kind == "tuple_type" and isinstance(value, dict):
        return " (start each entry with a dash)"
    if kind == "string_type" and not isinstance(value, list | dict):
        return " (put quotes around it)"
    return ""
