"""Our check and the leaderboard's own, on every row and thousands of replies near the right one."""

import bfcl_reference
import mutations
import pytest

from harness.checks.toolcalls import calls_tool
from harness.types import ToolCall

INTEGERS_FOR_FLOATS = {
    ("simple_python_13", "interval items as integers"),
    ("simple_python_82", "numbers items as integers"),
    ("simple_python_87", "list items as integers"),
    ("simple_python_103", "polynomial items as integers"),
    ("simple_python_103", "limits items as integers"),
}
"""JSON writes 3.0 as 3; the leaderboard takes that for a float argument, but not inside a list of floats."""


@pytest.fixture(scope="module")
def accepts():
    return bfcl_reference.load()


def test_reference_tells_right_from_wrong(accepts, rows, all_rows):
    row, source = all_rows[0]
    name, answers = rows.answer(row, source)
    assert accepts(row["function"], name, {"base": 10, "height": 5}, {name: answers}, "simple_python")
    assert not accepts(row["function"], name, {"base": 10, "height": 6}, {name: answers}, "simple_python")


def test_same_verdict_on_every_reply(accepts, rows, all_rows):
    differing, passed, failed = set(), 0, 0
    for row, source in all_rows:
        name, answers = rows.answer(row, source)
        function = next(function for function in row["function"] if function["name"] == name)
        right = rows.first_arguments(function, answers)
        for label, arguments in mutations.variants(right, answers):
            theirs = accepts(row["function"], name, arguments, {name: answers}, source.file)
            ours = calls_tool(ToolCall(name, arguments), name=name, tools=row["function"], answers=answers)
            passed += theirs
            failed += not theirs
            if theirs is not bool(ours):
                assert bool(ours), (row["id"], label, ours.reason)
                differing.add((row["id"], label))
    assert differing == INTEGERS_FOR_FLOATS
    assert passed > 5000
    assert failed > 10000
