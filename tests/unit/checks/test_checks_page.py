from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import harness.checks

PAGE = (Path(__file__).parents[3] / "docs" / "checks.md").read_text(encoding="utf-8")


def test_every_check_is_on_the_page_and_nothing_else_is() -> None:
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)\(", table)) == set(harness.checks.__all__) - {"Check"}


def test_the_signatures_on_the_page_are_right() -> None:
    for name, arguments in re.findall(r"`(\w+)\(([^`]*)\)`", PAGE):
        check = getattr(harness.checks, name, None)
        if check is None or name == "Check":
            continue
        parameters = inspect.signature(check).parameters
        for argument in filter(None, arguments.split(", ")):
            given, _, default = argument.partition("=")
            assert given.lstrip("*") in parameters, (name, argument)
            if default and default != "…":
                assert parameters[given].default == ast.literal_eval(default), (name, argument)
