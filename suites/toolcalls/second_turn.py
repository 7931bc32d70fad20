"""What the second turn needs: the cases whose function is here for real, the prompt, the number in words."""

import math
import re
from dataclasses import replace

from harness.checks import Check
from harness.types import Case, Message
from suites.toolcalls import rows
from suites.toolcalls.stubs import STUBS


def stubbed_cases() -> list[Case]:
    """Return the held-out cases with one function on offer, and that one of ``STUBS``."""
    return [case for case in rows.eval_cases() if case.expected["name"] in STUBS and len(case.meta["functions"]) == 1]


def second_turn(case: Case, result: float) -> Case:
    """Return the prompt that hands the result back with the question and asks for words.

    The call itself is not repeated: a model that was trained on calls alone copies the call it reads
    there instead of answering.
    """
    question = case.messages[-1].content
    asked = f"{question} (The function {case.expected['name']} returned {result:.6g}.) Answer in one sentence."
    return replace(case, id=f"{case.id}+result", messages=(Message("user", asked),), grammar=None)


def mentions(text: str, number: float) -> Check:
    """Tell whether one of the numbers in the text is this one, to half a per cent (people round)."""
    found = [float(digits.replace(",", "")) for digits in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]
    near = any(math.isclose(other, number, rel_tol=0.005) for other in found)
    return Check("mentions", near, "" if near else f"{number:.6g} is not in {text[:150]!r}")
