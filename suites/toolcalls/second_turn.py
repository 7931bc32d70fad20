"""What the second turn needs: the cases whose function is here for real, the prompt, the number in words."""

import json
import math
import re
from dataclasses import replace

from harness.checks import Check
from harness.types import Case, Message, ToolCall
from suites.toolcalls import rows
from suites.toolcalls.stubs import STUBS


def stubbed_cases() -> list[Case]:
    """Return the held-out cases with one function on offer, and that one of ``STUBS``."""
    return [case for case in rows.eval_cases() if case.expected["name"] in STUBS and len(case.meta["functions"]) == 1]


def second_turn(case: Case, call: ToolCall, result: float) -> Case:
    """Return the same conversation without the instruction to reply in JSON, and with the result at its end."""
    asked = [message for message in case.messages if message.role != "system"]
    called = json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
    handed_back = f"{case.expected['name']} returned {result:.6g}. Answer my question in one sentence."
    turns = (*asked, Message("assistant", called), Message("user", handed_back))
    return replace(case, id=f"{case.id}+result", messages=turns, grammar=None)


def mentions(text: str, number: float) -> Check:
    """Tell whether one of the numbers in the text is this one, to half a per cent (people round)."""
    found = [float(digits.replace(",", "")) for digits in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]
    near = any(math.isclose(other, number, rel_tol=0.005) for other in found)
    return Check("mentions", near, "" if near else f"{number:.6g} is not in {text[:150]!r}")
