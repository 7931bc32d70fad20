"""Does a reply call the right function, with arguments of the right types and values?

Answers follow the Berkeley function-calling leaderboard: for each argument a list of acceptable
values, of which ``""`` means that the argument may be left out. Strings are compared without case,
spaces and the punctuation ``,./-_*^``; an integer stands for a float; ``true`` never stands for 1.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from harness.checks.check import Check
from harness.checks.diff import shown
from harness.checks.reply import end_of, excerpt
from harness.checks.tool_schema import find_function, function_of, parameter_schema
from harness.errors import DataError, Problem
from harness.types import Generation, ToolCall

LEFT_OUT = ""
"""Among the acceptable values of an argument: it may be left out."""

_IGNORED = re.compile(r"[ ,./\-_*^]")
_SHAPE = '{"name": …, "arguments": {…}}'


def calls_tool(
    reply: Generation | ToolCall | str,
    *,
    name: str | None = None,
    tools: Sequence[Mapping[str, Any]] = (),
    answers: Mapping[str, Any] | None = None,
) -> Check:
    """Check the one function call that the reply consists of; each part is checked where it is given.

    Args:
        reply: a generation (its ``tool_calls``, or its text as ``{"name": …, "arguments": {…}}``), such a
            text, or a call that is already read.
        name: the function that must be called.
        tools: the functions on offer; the call must be to one of them, with every required argument,
            no unknown one, and values that its JSON schema allows.
        answers: acceptable values by argument: a list of alternatives, or the one value itself where
            that is not a list. An argument not listed here is unexpected. A value that is
            acceptable here, type included, is not held against the schema.

    Raises:
        DataError: a tool has no name, or a schema with an unknown type.
    """
    call = read_call(reply)
    if isinstance(call, str):
        return Check("calls_tool", False, call)
    if name is not None and not _same_name(call, name, reply):
        return Check("calls_tool", False, f"calls {call.name}, expected {name}")
    problems: dict[str, list[str]] = {}
    if tools:
        function = find_function(tools, name if name is not None else call.name)
        if function is None:
            offered = [str(function_of(tool)["name"]) for tool in tools]
            return Check("calls_tool", False, f"calls {call.name}, which is not on offer{_nearest(call.name, offered)}")
        problems |= _schema_problems(call.arguments, parameter_schema(function), answers or {})
    if answers is not None:
        problems |= _answer_problems(call.arguments, answers)
    return Check.of("calls_tool", [sentence for found in problems.values() for sentence in found])


def read_call(reply: Generation | ToolCall | str) -> ToolCall | str:
    """Return the one call that the reply consists of, or a sentence that says why it is none."""
    if isinstance(reply, ToolCall):
        return reply
    if isinstance(reply, str):
        return _read_text(reply)
    if len(reply.tool_calls) > 1:
        return f"{len(reply.tool_calls)} calls ({', '.join(call.name for call in reply.tool_calls)}), expected one"
    if reply.tool_calls:
        return reply.tool_calls[0]
    found = _read_text(reply.text)
    if isinstance(found, str) and reply.finish_reason == "length":
        return f"cut off at the token limit, ends with {end_of(reply.text)}: {found}"
    return found


def _read_text(text: str) -> ToolCall | str:
    if not text.strip():
        return "the reply is empty"
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError as error:
        return f"the reply is not JSON ({error}): {excerpt(text)}"
    except RecursionError:
        return f"the reply is not JSON that can be read (nested too deeply): {excerpt(text)}"
    if not isinstance(data, dict):
        return f"the reply is a JSON {_kind(data)}, expected an object {_SHAPE}: {excerpt(text)}"
    wrong = [f"{key!r} is missing" for key in ("name", "arguments") if key not in data]
    wrong += [f"{key!r} does not belong there" for key in data if key not in ("name", "arguments")]
    if not wrong and not isinstance(data["name"], str):
        wrong.append(f"'name' is {shown(data['name'])}, expected a string")
    if not wrong and not isinstance(data["arguments"], dict):
        wrong.append(f"'arguments' is {shown(data['arguments'])}, expected an object")
    if wrong:
        return f"the reply is not a call {_SHAPE}: {', '.join(wrong)}: {excerpt(text)}"
    return ToolCall(data["name"], data["arguments"])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return result


def _no_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON value")


def _same_name(call: ToolCall, name: str, reply: Generation | ToolCall | str) -> bool:
    """Compare names; function-calling APIs cannot send dots, so there ``a_b`` stands for ``a.b``."""
    if call.name == name:
        return True
    return isinstance(reply, Generation) and bool(reply.tool_calls) and call.name == name.replace(".", "_")


def _schema_problems(
    arguments: Mapping[str, Any], schema: Mapping[str, Any], answers: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return what is wrong, by argument; an acceptable value is not held against the schema."""
    known = schema["properties"]
    problems = {name: [f"{name} is missing"] for name in schema.get("required", ()) if name not in arguments}
    if schema.get("additionalProperties", False) is False:
        unknown = [name for name in arguments if name not in known]
        problems |= {name: [f"{name} is not an argument of this function{_nearest(name, known)}"] for name in unknown}
    accepted = {name for name, value in arguments.items() if name in answers and _is_exactly(value, answers[name])}
    errors = {tuple(error.absolute_path): error for error in _schema_errors(schema, arguments)}
    for path, error in errors.items():
        argument = str(path[0]) if path else ""
        if argument not in accepted:
            problems.setdefault(argument, []).append(_schema_sentence(error))
    return problems


def _schema_errors(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[Any]:
    from referencing.exceptions import Unresolvable

    told = {"required"} | ({"additionalProperties"} if schema.get("additionalProperties") is False else set())
    values_only = {key: value for key, value in schema.items() if key not in told}
    try:
        return list(_validator(json.dumps(values_only)).iter_errors(arguments))
    except Unresolvable as error:
        problem = Problem(f"refers to {error.ref!r}, which is not in it")
        raise DataError("the schema of a tool is not usable", [problem]) from None


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    """Return JSON schema's validator, made to tell 5.0 from an integer as a typed function does."""
    import referencing
    from jsonschema import Draft202012Validator, validators
    from jsonschema.exceptions import SchemaError

    def is_integer(_checker: Any, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except SchemaError as error:
        problem = Problem(f"{error.json_path}: {error.message}")
        raise DataError("the schema of a tool is not usable", [problem]) from None
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer)
    extend: Any = validators.extend  # it has no annotations
    return extend(Draft202012Validator, type_checker=types)(json.loads(schema), registry=referencing.Registry())


def _schema_sentence(error: Any) -> str:
    first, *inner = [*error.absolute_path] or ["the arguments"]
    where = str(first) + "".join(f"[{part!r}]" for part in inner)
    value = shown(error.instance)
    if error.validator == "type":
        return f"{where} is {value}, expected {_either(error.validator_value, quoted=False)}"
    if error.validator == "enum":
        return f"{where} is {value}, expected {_either(error.validator_value)}"
    return f"{where}: {error.message[:80]}"


def _answer_problems(arguments: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return how the arguments differ from the answers, by argument; only those that differ."""
    problems = {}
    for name, alternatives in answers.items():
        options = _options(alternatives)
        if name in arguments:
            problems[name] = _closest(name, arguments[name], options)
        elif LEFT_OUT not in options:
            problems[name] = [f"{name} is missing, expected {_either(options)}"]
    for name, value in arguments.items():
        if name not in answers:
            problems[name] = [f"{name} is {shown(value)}, expected to be left out{_nearest(name, answers)}"]
    return {name: found for name, found in problems.items() if found}


def _options(alternatives: Any) -> list[Any]:
    return alternatives if isinstance(alternatives, list) else [alternatives]


def _closest(path: str, value: Any, options: list[Any]) -> list[str]:
    """Return how ``value`` differs from the option it is nearest to; nothing if it equals one."""
    if LEFT_OUT in options and value == []:
        return []
    found = [_differences(path, value, option) for option in options]
    if not all(found):
        return []
    alike = [part for part, option in zip(found, options, strict=True) if type(option) is type(value)]
    if alike and isinstance(value, dict | list):
        return min(alike, key=len)
    wanted = [option for option in options if option != LEFT_OUT]
    alternatives = [_either(wanted)] if wanted else []
    if LEFT_OUT in options:
        alternatives.append("to be left out")
    return [f"{path} is {shown(value)}, expected {' or '.join(alternatives)}"]


def _differences(path: str, value: Any, option: Any) -> list[str]:
    if isinstance(value, dict) and isinstance(option, Mapping):
        inner = _answer_problems(value, option)
        return [f"{path}.{problem}" for found in inner.values() for problem in found]
    if isinstance(value, list) and isinstance(option, list):
        if len(value) != len(option):
            return [f"{path} is {shown(value)} ({len(value)} items), expected {shown(option)} ({len(option)})"]
        pairs = enumerate(zip(value, option, strict=True))
        return [problem for i, (left, right) in pairs for problem in _differences(f"{path}[{i}]", left, right)]
    return [] if _equal(value, option) else [f"{path} is {shown(value)}, expected {shown(option)}"]


def _equal(value: Any, option: Any) -> bool:
    if isinstance(value, str) and isinstance(option, str):
        return _folded(value) == _folded(option)
    if isinstance(value, bool) or isinstance(option, bool):
        return value is option
    return bool(value == option)


def _folded(text: str) -> str:
    return _IGNORED.sub("", text).lower().replace("'", '"')


def _is_exactly(value: Any, alternatives: Any) -> bool:
    return any(_same_types(value, option) and not _differences("", value, option) for option in _options(alternatives))


def _same_types(value: Any, option: Any) -> bool:
    if type(value) is not type(option):
        return False
    if isinstance(value, list):
        return len(value) == len(option) and all(map(_same_types, value, option))
    return True


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (nearest: {close[0]})" if close else ""


def _either(options: Any, *, quoted: bool = True) -> str:
    """Return ``a or b or c``; a long list is cut."""
    values = [options] if isinstance(options, str) else list(options)
    texts = [shown(value) if quoted else str(value) for value in values]
    more = [] if len(texts) <= 4 else [f"… ({len(texts)} in all)"]
    return " or ".join(texts[:4] + more)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {list: "list", str: "string", bool: "boolean"}
    return kinds.get(type(value), "number")


__all__ = ["LEFT_OUT", "calls_tool", "read_call"]
