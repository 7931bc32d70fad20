"""Messages and tool calls in OpenAI's chat shape, both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.types import Message, ToolCall


def write_message(message: Message) -> dict[str, Any]:
    """Return a turn as a chat-completions message."""
    data: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        data["tool_calls"] = [
            {
                "id": call.id or f"call_{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)},
            }
            for index, call in enumerate(message.tool_calls)
        ]
    if message.name:
        data["name"] = message.name
    if message.tool_call_id:
        data["tool_call_id"] = message.tool_call_id
    return data


def write_tools(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return tools in the ``{"type": "function", "function": …}`` shape."""
    return [dict(tool) if "function" in tool else {"type": "function", "function": dict(tool)} for tool in tools]


def read_message(data: Mapping[str, Any]) -> Message:
    """Read a chat-completions message; a content of parts becomes its text."""
    calls, _ = read_tool_calls(data.get("tool_calls") or ())
    return Message(
        role=str(data["role"]),
        content=read_content(data.get("content")),
        tool_calls=calls,
        name=data.get("name"),
        tool_call_id=data.get("tool_call_id"),
    )


def read_content(content: Any) -> str:
    """Return the text of a message's content: a string, parts, or nothing."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return "" if content is None else str(content)


def read_tool_calls(calls: Sequence[Mapping[str, Any]]) -> tuple[tuple[ToolCall, ...], list[str]]:
    """Return the calls whose arguments are a JSON object, and the raw text of those whose are not."""
    good: list[ToolCall] = []
    broken: list[str] = []
    for call in calls:
        function = call.get("function") or {}
        arguments = function.get("arguments")
        try:
            decoded = json.loads(arguments or "{}") if isinstance(arguments, str | None) else arguments
        except ValueError:
            decoded = None
        if isinstance(decoded, Mapping) and function.get("name"):
            good.append(ToolCall(str(function["name"]), decoded, call.get("id")))
        else:
            broken.append(json.dumps(function, ensure_ascii=False))
    return tuple(good), broken
