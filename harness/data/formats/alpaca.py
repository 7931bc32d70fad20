"""Alpaca: ``instruction``, ``input`` and ``output``, and perhaps a ``system`` text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data.dataset import Fields
from harness.data.formats.draft import Draft, read_text
from harness.types import Message

INPUT_HEADING = "\n\n### Input:\n"
"""Between instruction and input in the user's turn: what the ``alpaca`` template needs to be Stanford's text."""


class Alpaca:
    """Rows with an instruction and an output."""

    name = "alpaca"
    uses = frozenset({"instruction", "input", "output", "system"})

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether the row has an instruction."""
        return "instruction" in row

    def read(self, row: Mapping[str, Any], fields: Fields, reasons: list[str]) -> Draft:
        """Return a system turn (if there is one), the instruction with its input, and the output."""

        def text(name: str, empty: bool) -> str:
            return read_text(row.get(name), reasons, repr(name), empty=empty)

        instruction = text(fields.instruction or "instruction", False)
        given = text(fields.input or "input", True)
        output_name = fields.output or "output"
        system = text(fields.system or "system", True)
        question = instruction + INPUT_HEADING + given if given else instruction
        turns = [Message("system", system)] if system else []
        turns.append(Message("user", question))
        if output_name in row:
            turns.append(Message("assistant", text(output_name, False)))
        return Draft(tuple(turns), template="alpaca")
