"""Prompt and completion (texts, or message lists as in TRL), and plain text to be continued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.data.dataset import Fields
from harness.data.formats.chat import KEYS
from harness.data.formats.draft import Draft, read_text, read_tools, read_turns
from harness.data.problems import shorten
from harness.types import Message


class PromptCompletion:
    """Rows with a prompt and a completion; only the completion is trained."""

    name = "prompt_completion"
    uses = frozenset({"prompt", "completion", "system", "tools"})

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether the row has a prompt."""
        return "prompt" in row

    def read(self, row: Mapping[str, Any], fields: Fields, reasons: list[str]) -> Draft:
        """Read two texts, or two lists of turns."""
        asked, answered = fields.input or "prompt", fields.output or "completion"
        if isinstance(row.get(asked), list | tuple):
            return self._read_turns(row, fields, reasons, asked, answered)
        turns = [Message("user", read_text(row.get(asked), reasons, repr(asked), empty=False))]
        if answered in row:
            turns.append(Message("assistant", read_text(row.get(answered), reasons, repr(answered), empty=False)))
        return Draft(tuple(turns), template="completion")

    def _read_turns(
        self, row: Mapping[str, Any], fields: Fields, reasons: list[str], asked: str, answered: str
    ) -> Draft:
        prompt = read_turns(row.get(asked), KEYS, fields, reasons, asked)
        turns = tuple(replace(turn, train=False) if turn.role == "assistant" else turn for turn in prompt)
        if answered in row:
            turns += read_turns(row.get(answered), KEYS, fields, reasons, answered)
        return Draft(turns, read_tools(row.get(fields.tools), reasons, fields.tools))


class Completion:
    """Rows with one ``text``, all of it trained."""

    name = "completion"
    uses = frozenset({"text"})

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether the row has a text."""
        return "text" in row

    def read(self, row: Mapping[str, Any], fields: Fields, reasons: list[str]) -> Draft:
        """Return the text as the one reply to an empty prompt."""
        name = fields.text or "text"
        text = read_text(row.get(name), reasons, repr(name), empty=False)
        return Draft((Message("assistant", text),), template="completion")


class InputOutput:
    """Rows with ``segments`` of ``text`` and ``label`` (trained or not), written out with all their markers."""

    name = "input_output"
    uses = frozenset({"segments"})

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether the row has segments."""
        return "segments" in row

    def read(self, row: Mapping[str, Any], fields: Fields, reasons: list[str]) -> Draft:  # noqa: ARG002
        """Return trained segments as replies and the others as prompts; neighbours of one kind are joined."""
        segments = row.get("segments")
        if not isinstance(segments, list | tuple):
            reasons.append(f"'segments' must be a list, it is {shorten(segments)}")
            return Draft(())
        turns: list[Message] = []
        for number, segment in enumerate(segments, start=1):
            if not isinstance(segment, Mapping) or not isinstance(segment.get("label"), bool):
                reasons.append(f"segment {number} must be an object with 'label' (true, false) and 'text'")
                continue
            text = read_text(segment.get("text"), reasons, f"segment {number}: 'text'", empty=False)
            role = "assistant" if segment["label"] else "user"
            if turns and turns[-1].role == role:
                turns[-1] = replace(turns[-1], content=turns[-1].content + text)
            else:
                turns.append(Message(role, text))
        return Draft(tuple(turns), template="completion")
