"""Checks of a reply as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from harness.checks.check import Check
from harness.checks.diff import json_differences, shown
from harness.checks.reply import Reply, end_of, excerpt, text_of
from harness.errors import GrammarError
from harness.types import Generation

JsonKind = Literal["object", "array", "string", "number", "boolean", "null"]

_TOO_DEEP = "nested too deeply to be read"

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def is_json(reply: Reply, kind: JsonKind | None = None) -> Check:
    """Check that the whole reply is JSON, of the given ``kind`` if any. NaN and Infinity are not JSON."""
    value, problem = _parse(reply)
    if problem:
        return Check("is_json", False, problem)
    found = _kind(value)
    if kind is not None and found != kind:
        return Check("is_json", False, f"JSON, but {found} instead of {kind}: {excerpt(text_of(reply).strip())}")
    return Check("is_json", True)


def matches_schema(reply: Reply, schema: Mapping[str, Any] | bool | str | Path) -> Check:
    """Check the reply, as JSON, against a JSON schema (data, or the file it stands in).

    Reports every error, each with the path of the value and, for one of several alternatives, why the
    likeliest did not fit. A ``$ref`` is resolved inside the schema only; nothing is fetched.

    Raises:
        GrammarError: the schema is not one, or cannot be read.
    """
    value, problem = _parse(reply)
    if problem:
        return Check("matches_schema", False, problem)
    text = _schema_text(schema) if isinstance(schema, str | Path) else json.dumps(schema)
    validator = _validator(text)
    try:
        return Check.of("matches_schema", _schema_errors(validator, value))
    except RecursionError:
        return Check("matches_schema", False, _TOO_DEEP)


def equals_json(reply: Reply | Mapping[str, Any] | Sequence[Any], expected: Any, *, ordered: bool = True) -> Check:
    """Check that the reply, as JSON, equals ``expected``; the reason lists what differs, by path.

    1 equals 1.0; true does not equal 1.

    Args:
        reply: a generation, JSON text, or a value that is already read.
        expected: a JSON value.
        ordered: whether the order of lists counts.
    """
    value, problem = _parse(reply) if isinstance(reply, Generation | str) else (reply, "")
    if problem:
        return Check("equals_json", False, problem)
    try:
        return Check.of("equals_json", list(json_differences(value, expected, ordered=ordered)))
    except RecursionError:
        return Check("equals_json", False, _TOO_DEEP)


def _parse(reply: Reply) -> tuple[Any, str]:
    """Return (value, problem): where the text stops being JSON, and what that looks like."""
    text = text_of(reply)
    if not text.strip():
        return None, "the reply is empty"
    try:
        return json.loads(text, parse_constant=_reject), ""
    except json.JSONDecodeError as error:
        return None, f"not JSON: {error.msg} at character {error.pos} of {len(text)}: {_explain(reply, error.pos)}"
    except RecursionError:
        return None, f"{_TOO_DEEP}: {excerpt(text)}"
    except ValueError as error:
        return None, f"not JSON: {error}"


def _explain(reply: Reply, position: int) -> str:
    text = text_of(reply)
    if isinstance(reply, Generation) and reply.finish_reason == "length":
        return f"{end_of(text)}; cut off after {reply.completion_tokens or len(reply.token_ids)} tokens"
    fenced = "; the JSON stands in a ``` block" if text.lstrip().startswith("```") else ""
    return excerpt(text, position) + fenced


def _reject(constant: str) -> Any:
    raise ValueError(f"{constant} is a number only to Python and JavaScript")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return next(name for name, types in _TYPES.items() if isinstance(value, types))


def _schema_text(source: str | Path) -> str:
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GrammarError(f"{source}: the JSON schema cannot be read: {error}") from None


@lru_cache(maxsize=128)
def _validator(text: str) -> Any:
    import referencing
    from jsonschema import validators
    from jsonschema.exceptions import SchemaError

    try:
        schema = json.loads(text)
    except ValueError as error:
        raise GrammarError(f"the JSON schema is not JSON: {error}") from None
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise GrammarError(f"not a JSON schema: {error.json_path}: {error.message}") from None
    return kind(schema, registry=referencing.Registry())


def _schema_errors(validator: Any, value: Any) -> list[str]:
    from referencing.exceptions import Unresolvable

    try:
        errors = sorted(validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])
    except Unresolvable as error:
        raise GrammarError(f"the JSON schema refers to {error.ref!r}, which is not in it") from None
    return [_schema_error(error) for error in errors]


def _schema_error(error: Any) -> str:
    from jsonschema.exceptions import best_match

    message = f"{error.json_path}: {_shorter(error)}"
    inner = best_match(error.context) if error.context else None
    return message if inner is None else f"{message} (nearest: {inner.json_path}: {_shorter(inner)})"


def _shorter(error: Any) -> str:
    """Return the message with the value in it cut down to what can be read."""
    whole = repr(error.instance)
    message = str(error.message)
    if len(whole) > 60:
        message = message.replace(whole, shown(error.instance))
    return message if len(message) <= 200 else f"{message[:199]}…"
