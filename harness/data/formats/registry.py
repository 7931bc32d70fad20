"""Names of the formats, and which one a row is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data.formats.alpaca import Alpaca
from harness.data.formats.chat import Chat, ToolCalls
from harness.data.formats.completion import Completion, InputOutput, PromptCompletion
from harness.data.formats.custom import Skip
from harness.data.formats.draft import Draft, Format
from harness.data.formats.sharegpt import ShareGpt
from harness.data.problems import RowError, nearest

__all__ = ["FORMATS", "Draft", "Format", "Skip", "detect_format", "find_format"]

FORMATS: tuple[Format, ...] = (
    ShareGpt(),
    Chat(),
    ToolCalls(),
    Alpaca(),
    PromptCompletion(),
    InputOutput(),
    Completion(),
)
_OTHER_NAMES = {"chat": "chat_template", "messages": "chat_template", "prompt-completion": "prompt_completion"}


def find_format(name: str) -> Format:
    """Return the format called ``name``.

    Raises:
        RowError: there is none; the nearest name and all others are shown.
    """
    by_name = {known.name: known for known in FORMATS}
    found = by_name.get(_OTHER_NAMES.get(name, name))
    if found is None:
        near = nearest(name, [*by_name, *_OTHER_NAMES])
        raise RowError(
            [
                f"the format {name!r} is not known{near}; known are {', '.join(by_name)},"
                " and module:function or file.py:function for one's own"
            ]
        )
    return found


def detect_format(row: Mapping[str, Any]) -> Format:
    """Return the format whose fields ``row`` has.

    Raises:
        RowError: it has those of none.
    """
    for known in FORMATS:
        if known.matches(row):
            return known
    fields = ", ".join(map(repr, row)) or "none"
    raise RowError(
        [
            f"the row's fields ({fields}) are those of no known format; it needs 'messages', 'conversations',"
            " 'instruction', 'prompt', 'segments' or 'text' (or say the dataset's type)"
        ]
    )
