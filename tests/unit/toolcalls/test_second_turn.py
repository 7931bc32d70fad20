"""The second turn of the suite: its stubs, its prompt, the number in words."""

import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RESULTS = {
    "simple_python_0": 25,
    "simple_python_1": 120,
    "simple_python_7": 25.1327,
    "simple_python_8": 314.159,
    "simple_python_9": 78.5398,
    "simple_python_11": 25,
    "simple_python_21": 12,
    "simple_python_75": 37705,
    "simple_python_95": 7.5,
    "simple_python_97": 120,
    "simple_python_135": 0.35,
}


@pytest.fixture(scope="module")
def suite():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        return importlib.import_module("suites.toolcalls.second_turn")


def test_each_stub_takes_the_arguments_of_its_function_and_gives_the_right_result(suite, rows):
    cases = suite.stubbed_cases()
    assert {case.id for case in cases} == set(RESULTS)
    assert {case.expected["name"] for case in cases} == set(suite.STUBS)
    for case in cases:
        (function,) = case.meta["functions"]
        stub = suite.STUBS[function["name"]]
        assert set(function["parameters"]["properties"]) <= set(inspect.signature(stub).parameters)
        arguments = rows.first_arguments(function, case.expected["arguments"])
        assert stub(**arguments) == pytest.approx(RESULTS[case.id], rel=1e-4), case.id
        required = {name: arguments[name] for name in function["parameters"]["required"]}
        assert isinstance(stub(**required), int | float)  # what may be left out has a default


def test_second_turn_hands_the_result_back_and_asks_for_words(suite):
    case = next(case for case in suite.stubbed_cases() if case.id == "simple_python_1")
    again = suite.second_turn(case, 120)
    assert [message.role for message in again.messages] == ["user"]
    assert again.messages[0].content == (
        "Calculate the factorial of 5 using math functions. (The function math.factorial returned 120.)"
        " Answer in one sentence."
    )
    assert again.grammar is None
    assert again.id != case.id


@pytest.mark.parametrize(
    ("text", "number", "there"),
    [
        ("The factorial of 5 is 120.", 120, True),
        ("There will be 37,705 elephants.", 37705, True),
        ("About 78.5 square units", 78.5398, True),
        ("25.0", 25, True),
        ("It is 121.", 120, False),
        ("It is 1200.", 120, False),
        ("A hundred and twenty", 120, False),
        ("", 120, False),
    ],
)
def test_number_in_words(suite, text, number, there):
    assert bool(suite.mentions(text, number)) is there
