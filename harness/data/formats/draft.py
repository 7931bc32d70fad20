"""What a format makes of a row, and how formats read turns, tool calls and tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.data.dataset import Fields
from harness.data.problems import nearest, shorten
from harness.types import Message, ToolCall


@dataclass(frozen=True)
class Draft:
    """The conversation of one row; its id, tags and the rest are read the same way for all formats."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    template: str | None = None
    """The template that is natural for the row, where it is not the model's own chat template."""


class Format(Protocol):
    """Reads the rows of one format; appends what is wrong with a row to ``reasons``."""

    name: str
    uses: frozenset[str]
    """The row's fields that the format reads under their usual names: the others go to ``meta``."""

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether the row's fields are those of this format."""

    def read(self, row: Mapping[str, Any], fields: Fields, reasons: list[str]) -> Draft:
        """Return the row's conversation; worthless if ``reasons`` is not empty afterwards."""


@dataclass(frozen=True)
class TurnKeys:
    """Names of a turn's role and content."""

    role: str
    content: str


def read_turns(value: Any, keys: TurnKeys, fields: Fields, reasons: list[str], field_name: str) -> tuple[Message, ...]:
    """Read a list of turns (or its JSON text, as in a CSV cell)."""
    value = _from_json_text(value)
    if value is None:
        reasons.append(f"the field {field_name!r} is missing")
        return ()
    if not isinstance(value, list | tuple):
        reasons.append(f"{field_name!r} must be a list of turns, it is {shorten(value)} ({type(value).__name__})")
        return ()
    keys = TurnKeys(fields.role or keys.role, fields.content or keys.content)
    names = fields.role_names()
    turns = (read_turn(turn, keys, names, fields.train, reasons, f"turn {n}") for n, turn in enumerate(value, start=1))
    return tuple(turn for turn in turns if turn is not None)


def read_turn(
    turn: Any, keys: TurnKeys, names: Mapping[str, str], train_key: str | None, reasons: list[str], where: str
) -> Message | None:
    """Read one turn; None, and a reason, where it is not one."""
    if not isinstance(turn, dict | Mapping):
        reasons.append(f"{where} must be an object, it is {shorten(turn)} ({type(turn).__name__})")
        return None
    named = turn.get(keys.role)
    role = names.get(named) if isinstance(named, str) else None
    if role is None:
        reasons.append(_unknown_role(named, keys.role, turn, names, where))
        return None
    before = len(reasons)
    content = read_text(turn.get(keys.content), reasons, f"{where} ({named}): {keys.content!r}", empty=True)
    if role == "function_call":
        return Message("assistant", "", read_calls(content, reasons, where), train=_train_flag(turn, train_key))
    calls = read_calls(turn.get("tool_calls"), reasons, where) if role == "assistant" else ()
    if turn.get(keys.content) is None and not calls and len(reasons) == before:
        reasons.append(f"{where} ({named}) has no {keys.content!r}; its fields are {', '.join(map(str, turn))}")
    return Message(
        role,
        _with_reasoning(content, turn),
        calls,
        name=_optional_text(turn.get("name")),
        tool_call_id=_optional_text(turn.get("tool_call_id")),
        train=_train_flag(turn, train_key),
    )


def read_text(value: Any, reasons: list[str], where: str, *, empty: bool) -> str:
    """Return a text, or the joined text parts of a content list; None is the empty text where ``empty``."""
    if isinstance(value, list | tuple) and all(isinstance(part, Mapping) for part in value):
        kinds = {str(part.get("type")) for part in value} - {"text"}
        if kinds:
            reasons.append(f"{where} has parts of type {', '.join(sorted(kinds))}; only text can be trained here")
            return ""
        value = "".join(str(part.get("text") or "") for part in value)
    if value is None and empty:
        return ""
    if not isinstance(value, str):
        reasons.append(f"{where} must be a text, it is {shorten(value)} ({type(value).__name__})")
        return ""
    if not value.isascii() and not _encodable(value):
        reasons.append(f"{where} holds half of a surrogate pair, which is no text: {shorten(value)}")
        return ""
    return value


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def read_calls(value: Any, reasons: list[str], where: str) -> tuple[ToolCall, ...]:
    """Read tool calls in OpenAI's form, or flat ones (name, arguments), or their JSON text."""
    value = _from_json_text(value)
    if value is None or value == "":
        return ()
    calls = value if isinstance(value, list | tuple) else [value]
    read = (_read_call(call, reasons, f"{where}: tool call {n}") for n, call in enumerate(calls, start=1))
    return tuple(call for call in read if call is not None)


def _read_call(call: Any, reasons: list[str], where: str) -> ToolCall | None:
    function = call.get("function") if isinstance(call, Mapping) and isinstance(call.get("function"), Mapping) else call
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        reasons.append(f"{where} must be an object with 'name' and 'arguments', it is {shorten(call)}")
        return None
    arguments = function.get("arguments", function.get("parameters"))
    arguments = {} if arguments is None else _from_json_text(arguments)
    if not isinstance(arguments, Mapping):
        reasons.append(f"{where} ({function['name']}): 'arguments' must be an object, it is {shorten(arguments)}")
        return None
    return ToolCall(function["name"], arguments, _optional_text(call.get("id")))


def read_tools(value: Any, reasons: list[str], name: str) -> tuple[Mapping[str, Any], ...]:
    """Read the tools a row offers: a list, or its JSON text; flat ones are put into OpenAI's form."""
    value = _from_json_text(value)
    if value is None or value == "":
        return ()
    if not isinstance(value, list | tuple):
        reasons.append(f"{name!r} must be a list of tools or its JSON text, it is {shorten(value)}")
        return ()
    tools: list[Mapping[str, Any]] = []
    for number, tool in enumerate(value, start=1):
        if isinstance(tool, Mapping) and isinstance(tool.get("function"), Mapping):
            tools.append(tool)
        elif isinstance(tool, Mapping) and isinstance(tool.get("name"), str):
            tools.append({"type": "function", "function": tool})
        else:
            reasons.append(f"{name!r}: tool {number} must be an object with a name, it is {shorten(tool)}")
    return tuple(tools)


def _from_json_text(value: Any) -> Any:
    """Parse a text that holds a JSON list or object (a CSV cell); anything else stays as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _unknown_role(named: Any, key: str, turn: Mapping[str, Any], names: Mapping[str, str], where: str) -> str:
    if named is None:
        return f"{where} has no {key!r}; its fields are {', '.join(map(str, turn))}"
    known = sorted(names)
    near = nearest(named, known) if isinstance(named, str) else ""
    return (
        f"{where}: the role {shorten(named)} is not known{near}; known are {', '.join(known)};"
        f" map others in the dataset's 'roles', e.g. roles: {{user: [{named}]}}"
    )


def _with_reasoning(content: str, turn: Mapping[str, Any]) -> str:
    """Put a turn's reasoning, which some files keep apart, where reasoning models write it."""
    thought = turn.get("reasoning_content")
    return f"<think>\n{thought}\n</think>\n\n{content}" if isinstance(thought, str) and thought else content


def _train_flag(turn: Mapping[str, Any], key: str | None) -> bool | None:
    """Return the turn's own word on training: ``train``, OpenAI's ``weight``, or the config's field."""
    for name in (key, "train", "training", "weight"):
        if name is not None and isinstance(turn.get(name), bool | int | float):
            return bool(turn[name])
    return None


def _optional_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
