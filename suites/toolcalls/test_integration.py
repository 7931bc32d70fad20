"""The call is executed for real, its result handed back, and the model answers in words."""

from typing import Protocol

import pytest

from harness.checks import calls_tool
from harness.checks.toolcalls import read_call
from harness.types import Case, Generation, ToolCall
from suites.toolcalls.second_turn import mentions, second_turn, stubbed_cases
from suites.toolcalls.stubs import STUBS

pytestmark = [pytest.mark.level1, pytest.mark.integration, pytest.mark.cases(source=stubbed_cases)]


class Asks(Protocol):
    """What this suite uses of the ``engine`` fixture."""

    def reply(self, case: Case) -> Generation: ...


def test_answers_with_the_result(case: Case, generation: Generation, engine: Asks) -> None:
    name, answers = case.expected["name"], case.expected["arguments"]
    assert calls_tool(generation, name=name, tools=case.meta["functions"], answers=answers)
    call = read_call(generation)
    assert isinstance(call, ToolCall)
    result = STUBS[name](**call.arguments)
    assert mentions(engine.reply(second_turn(case, result)).text, result)
