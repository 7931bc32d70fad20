"""A check is truthy, says why not, and is readable in pytest's assertion output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.checks import Check

GOOD = Check("good", True)
BAD = Check("bad", False, "first\nsecond")


def test_truth() -> None:
    assert GOOD
    assert not BAD
    assert (GOOD and BAD) is BAD


@pytest.mark.parametrize(
    ("check", "shown"),
    [
        (GOOD, "<good ok>"),
        (Check("length", True, "3 words"), "<length ok: 3 words>"),
        (BAD, "<bad failed: first · second>"),
        (Check.of("x", ["a: 1", "b: 2"]), "<x failed: 2 problems: a: 1 · b: 2>"),
        (Check.of("x", []), "<x ok>"),
    ],
)
def test_repr_is_one_line(check: Check, shown: str) -> None:
    assert repr(check) == shown


def test_repr_is_short_enough_that_pytest_does_not_cut_its_middle_out() -> None:
    text = repr(Check("x", False, "y" * 10_000))
    assert len(text) <= 240
    assert text.endswith("…>")


def test_of_keeps_every_problem() -> None:
    check = Check.of("x", [f"problem {i}" for i in range(100)])
    assert len(check.reason.splitlines()) == 101


def test_and_reports_all_that_failed() -> None:
    assert GOOD & GOOD
    assert (GOOD & BAD) == BAD
    assert (BAD & GOOD) == BAD
    both = BAD & Check("worse", False, "third")
    assert not both
    assert both.reason == "bad: first\nsecond\nworse: third"


def test_a_check_is_a_value() -> None:
    assert Check("a", False, "r") == Check("a", False, "r")
    assert len({Check("a", True), Check("a", True)}) == 1


SHOWN = """
from harness.checks import contains, equals_json, is_json

def test_one():
    assert is_json("[1, 2")

def test_two():
    assert equals_json('{"a": {"b": 1}}', {"a": {"b": 2}})

def test_three():
    reply = "hello"
    assert contains(reply, "hell") and contains(reply, "heaven")
"""


def test_pytest_shows_the_reason(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_shown.py").write_text(SHOWN)
    command = [sys.executable, "-m", "pytest", "-p", "no:ftplugin", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = [line for line in run.stdout.splitlines() if line.startswith("E ") and " assert " in line]
    assert [line.split("assert ", 1)[1] for line in errors] == [
        "<is_json failed: not JSON: Expecting ',' delimiter at character 5 of 5: '[1, 2'>",
        "<equals_json failed: $.a.b: 1 instead of 2>",
        "(<contains ok> and <contains failed: 'heaven' is not in 'hello'>)",
    ]


HEAVY = ["torch", "transformers", "jsonschema", "sqlglot", "py3langid", "numpy", "llguidance", "tokenizers", "pyarrow"]


def test_importing_the_checks_imports_nothing_heavy() -> None:
    code = f"import sys, harness.checks; print([name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
