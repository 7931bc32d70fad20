"""Does the model call the right function with the right arguments, on functions it was not trained on?"""

import pytest

from harness.checks import calls_tool, stopped
from harness.types import Case, Generation
from suites.toolcalls import rows

pytestmark = [pytest.mark.cases(source=rows.eval_cases), pytest.mark.level1]


def test_reply_is_one_call(generation: Generation) -> None:
    assert calls_tool(generation)


def test_names_the_function(case: Case, generation: Generation) -> None:
    assert calls_tool(generation, name=case.expected["name"])


def test_arguments_fit_the_schema(case: Case, generation: Generation) -> None:
    assert calls_tool(generation, tools=case.meta["functions"])


def test_call_is_acceptable(case: Case, generation: Generation) -> None:
    expected = case.expected
    assert calls_tool(generation, name=expected["name"], tools=case.meta["functions"], answers=expected["arguments"])


def test_stops_by_itself(generation: Generation) -> None:
    assert stopped(generation)
