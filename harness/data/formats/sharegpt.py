"""ShareGPT: ``conversations`` of ``from``/``value`` turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data.dataset import Fields
from harness.data.formats.draft import Draft, TurnKeys, read_text, read_tools, read_turns
from harness.types import Message

_KEYS = TurnKeys("from", "value")


class ShareGpt:
    """Rows with ``conversations``, and perhaps ``system`` and ``tools`` beside them."""

    name = "sharegpt"
    uses = frozenset({"conversations", "system", "tools"})

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether the row has conversations."""
        return "conversations" in row

    def read(self, row: Mapping[str, Any], fields: Fields, reasons: list[str]) -> Draft:
        """Read the turns; a ``system`` field is put before them."""
        name = fields.messages or "conversations"
        turns = read_turns(row.get(name), _KEYS, fields, reasons, name)
        return Draft(with_system(turns, row, fields, reasons), read_tools(row.get(fields.tools), reasons, fields.tools))


def with_system(
    turns: tuple[Message, ...], row: Mapping[str, Any], fields: Fields, reasons: list[str]
) -> tuple[Message, ...]:
    """Return ``turns`` with the row's ``system`` field as the first, unless they begin with a system turn."""
    name = fields.system or "system"
    system = read_text(row.get(name), reasons, repr(name), empty=True)
    if not system or (turns and turns[0].role == "system"):
        return turns
    return (Message("system", system), *turns)
