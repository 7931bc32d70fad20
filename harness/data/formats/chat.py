"""Chat: ``messages`` of ``role``/``content`` turns, as OpenAI and the ``transformers`` library have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data.dataset import Fields
from harness.data.formats.draft import Draft, TurnKeys, read_tools, read_turns
from harness.data.formats.sharegpt import with_system

KEYS = TurnKeys("role", "content")


class Chat:
    """Rows with ``messages``, and perhaps ``tools`` beside them."""

    name = "chat_template"
    uses = frozenset({"messages", "system", "tools"})

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether the row has messages."""
        return "messages" in row

    def read(self, row: Mapping[str, Any], fields: Fields, reasons: list[str]) -> Draft:
        """Read the turns and the tools."""
        name = fields.messages or "messages"
        turns = read_turns(row.get(name), KEYS, fields, reasons, name)
        return Draft(with_system(turns, row, fields, reasons), read_tools(row.get(fields.tools), reasons, fields.tools))


class ToolCalls(Chat):
    """Chat rows that must offer tools: a row without any is a mistake."""

    name = "tool_calls"

    def read(self, row: Mapping[str, Any], fields: Fields, reasons: list[str]) -> Draft:
        """Read the turns (``messages`` or ``conversations``) and the tools, of which there must be one."""
        from harness.data.formats.sharegpt import ShareGpt

        other = fields.messages is None and "messages" not in row and "conversations" in row
        draft = ShareGpt().read(row, fields, reasons) if other else super().read(row, fields, reasons)
        if not draft.tools and not reasons:
            reasons.append(f"the row offers no tools: {fields.tools!r} is missing or empty")
        return draft
