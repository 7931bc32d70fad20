"""Function descriptions as JSON schema: for a prompt, for a check of arguments, for a grammar.

Descriptions come in several dialects: bare (``{"name", "description", "parameters"}``) or wrapped as
chat APIs do (``{"type": "function", "function": {…}}``), and with Python's type names (``dict``,
``float``, ``tuple``, ``any``) instead of JSON schema's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import DataError, Problem

_JSON_TYPES = {"dict": "object", "float": "number", "double": "number", "tuple": "array", "list": "array"}
_JSON_TYPES |= {"int": "integer", "bool": "boolean", "str": "string"}
_KNOWN_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
_CONTAINERS_OF_SCHEMAS = ("anyOf", "allOf", "oneOf", "prefixItems")
_MAPPINGS_OF_SCHEMAS = ("properties", "$defs", "definitions", "patternProperties")
_GRAMMAR_KEYWORDS = ("type", "enum", "const", "required")


def function_of(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the bare function description of ``tool``, unwrapping the form of chat APIs.

    Raises:
        DataError: it has no name.
    """
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise DataError(
            "a tool has no function name",
            [Problem(f"got {str(tool)[:200]}")],
            'Give {"name": …, "parameters": {…}}, or that under "function".',
        )
    return function


def find_function(tools: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """Return the bare description of the function called ``name``, or None."""
    return next((function for function in map(function_of, tools) if function["name"] == name), None)


def parameter_schema(function: Mapping[str, Any]) -> dict[str, Any]:
    """Return the function's parameters as JSON schema in JSON schema's own type names.

    Raises:
        DataError: a type that is neither JSON schema's nor one of the known Python names.
    """
    parameters = function.get("parameters") or {}
    problems: list[Problem] = []
    schema = _plain(parameters, f"{function['name']}.parameters", problems)
    if problems:
        allowed = ", ".join(sorted(_KNOWN_TYPES | set(_JSON_TYPES) | {"any"}))
        raise DataError(f"the schema of the tool {function['name']!r} is not usable", problems, f"Types: {allowed}.")
    if schema.get("type") not in (None, "object"):
        problem = Problem(f"parameters are of type {schema['type']!r}")
        raise DataError(f"the schema of the tool {function['name']!r} is not usable", [problem], "They are an object.")
    return {"type": "object", "properties": {}, **schema}


def call_schema(tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON schema of ``{"name": …, "arguments": {…}}`` calling one of ``tools``.

    It is meant as a grammar for decoding, so it holds structural keywords only, which every backend
    enforces; the finer ones (ranges, formats) are left to a check of the reply.
    """
    calls = [_one_call(function_of(tool)) for tool in tools]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def _one_call(function: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": _structure(parameter_schema(function))},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _structure(schema: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: schema[key] for key in _GRAMMAR_KEYWORDS if key in schema}
    if "items" in schema:
        kept["items"] = _structure(schema["items"])
    if schema.get("properties"):
        kept["properties"] = {name: _structure(part) for name, part in schema["properties"].items()}
        kept["additionalProperties"] = False
        kept["required"] = [name for name in schema.get("required", ()) if name in schema["properties"]]
    return kept


def _plain(schema: Any, where: str, problems: list[Problem]) -> Any:
    """Return a copy of ``schema`` with JSON schema's type names; collect what cannot be translated."""
    if not isinstance(schema, Mapping):
        return schema
    plain = {key: value for key, value in schema.items() if key not in ("type", "optional")}
    if "type" in schema:
        kind = _plain_type(schema["type"], where, problems)
        if kind is not None:
            plain = {"type": kind, **plain}
    for key in _MAPPINGS_OF_SCHEMAS:
        if isinstance(plain.get(key), Mapping):
            plain[key] = {name: _plain(part, f"{where}.{name}", problems) for name, part in plain[key].items()}
    for key in ("items", "additionalProperties"):
        if key in plain:
            plain[key] = _plain(plain[key], f"{where}.{key}", problems)
    for key in _CONTAINERS_OF_SCHEMAS:
        if isinstance(plain.get(key), Sequence):
            plain[key] = [_plain(part, f"{where}.{key}", problems) for part in plain[key]]
    return plain


def _plain_type(kind: Any, where: str, problems: list[Problem]) -> Any:
    """Return JSON schema's name of a type; None where anything goes."""
    if isinstance(kind, list):
        return [_plain_type(part, where, problems) for part in kind]
    if kind == "any":
        return None
    name = _JSON_TYPES.get(kind, kind) if isinstance(kind, str) else kind
    if name not in _KNOWN_TYPES:
        problems.append(Problem(f"{where} has the unknown type {kind!r}"))
    return name
