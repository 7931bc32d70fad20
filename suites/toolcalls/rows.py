"""The Berkeley function-calling rows, as training samples and as held-out cases.

The data is read from the installed ``bfcl-eval`` package (Apache-2.0), which is never imported. A
function whose name hashes into the held-out quarter is a case's function and nothing else: no
training row calls it, and none shows it among the functions on offer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from harness.checks.tool_schema import call_schema, parameter_schema
from harness.config import package_file
from harness.data import Skip
from harness.errors import DataError, Problem
from harness.types import Case, Grammar, Message, Sample, Source

CATEGORIES = ("simple_python", "multiple")
HELD_OUT_PERCENT = 25

INSTRUCTION = (
    'Call a function to answer the user. Reply with JSON only: {"name": function, "arguments": {argument: value}}.'
)
_PLAIN_GRAMMAR = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""Spaces as in the trained replies, and no endless run of them."""


def training_sample(row: Mapping[str, Any], source: Source) -> Sample | Skip:
    """Return the row as a sample whose reply is the first acceptable call; held-out rows are skipped.

    Raises:
        DataError: the row is not one of the two files', or has no answer.
    """
    target, answers = answer(row, source)
    if is_held_out(target):
        return Skip("its function is held out for the cases")
    if any(is_held_out(function["name"]) for function in row["function"]):
        return Skip("it offers a function that is held out for the cases")
    function = next(function for function in row["function"] if function["name"] == target)
    call = {"name": target, "arguments": first_arguments(function, answers)}
    return Sample(
        id=row["id"],
        messages=(*prompt(row), Message("assistant", json.dumps(call, ensure_ascii=False))),
        tags=_tags(row, target),
        meta={"functions": row["function"]},
        cluster=target,
        source=source,
    )


def eval_cases() -> list[Case]:
    """Return the held-out rows of both files as cases.

    ``expected`` is ``{"name": …, "arguments": {argument: [acceptable values]}}``; ``meta["functions"]``
    holds the functions on offer.

    Raises:
        DataError: the package is missing, or one of its files is not what is expected.
    """
    cases = []
    for category in CATEGORIES:
        for row, source in read_rows(data_file(category)):
            target, answers = answer(row, source)
            if is_held_out(target):
                cases.append(_case(row, target, answers))
    return cases


def is_held_out(function: str) -> bool:
    """Tell whether the function of this name belongs to the cases; depends on the name alone."""
    digest = hashlib.sha256(function.encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < HELD_OUT_PERCENT


def prompt(row: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return the turns before the reply: the functions and the instruction, then the user's question."""
    functions = "\n".join(_compact(function) for function in row["function"])
    turns = [Message(turn["role"], turn["content"]) for turn in row["question"][0]]
    return (Message("system", f"{INSTRUCTION}\n{functions}"), *turns)


def first_arguments(function: Mapping[str, Any], answers: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Return the first acceptable value of each argument, in the order of the schema.

    An argument whose first acceptable value is "left out" is left out, unless the schema requires it.
    """
    required = function["parameters"].get("required", ())
    arguments = {}
    for name in function["parameters"]["properties"]:
        options = answers.get(name, [""])
        value = _first(options if name not in required else [option for option in options if option != ""])
        if value != "":
            arguments[name] = value
    return arguments


def _first(options: list[Any]) -> Any:
    """Return the first option as a plain value: inside an object each key has alternatives of its own."""
    return _chosen(options[0])


def _chosen(option: Any) -> Any:
    if isinstance(option, dict):
        chosen = {key: _first(options) for key, options in option.items()}
        return {key: value for key, value in chosen.items() if value != ""}
    if isinstance(option, list):
        return [_chosen(part) for part in option]
    return option


def _case(row: Mapping[str, Any], target: str, answers: Mapping[str, Any]) -> Case:
    schema = {**call_schema(row["function"]), "x-guidance": _PLAIN_GRAMMAR}
    return Case(
        id=row["id"],
        messages=prompt(row),
        expected={"name": target, "arguments": answers},
        tags=_tags(row, target),
        meta={"functions": row["function"]},
        suite="toolcalls",
        cluster=target,
        grammar=Grammar("json", json.dumps(schema, ensure_ascii=False)),
    )


def _compact(function: Mapping[str, Any]) -> str:
    shown = {"name": function["name"], "description": function["description"], "parameters": parameter_schema(function)}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def _tags(row: Mapping[str, Any], target: str) -> dict[str, str]:
    return {"category": _category(row["id"]), "function": target}


def _category(row_id: str) -> str:
    return row_id.rpartition("_")[0]


def answer(row: Mapping[str, Any], source: Source) -> tuple[str, Mapping[str, list[Any]]]:
    """Return the name of the function to call and the acceptable values of its arguments."""
    row_id = str(row.get("id"))
    category = _category(row_id)
    if category not in CATEGORIES:
        problem = Problem(f"is not a row of {' or '.join(CATEGORIES)}", source.file, source.line, row_id)
        raise DataError("not a function-calling row that this suite reads", [problem])
    answers = _answers(category).get(row_id)
    if answers is None:
        problem = Problem("has no entry among the possible answers", source.file, source.line, row_id)
        raise DataError("a function-calling row without an answer", [problem])
    ((name, arguments),) = answers.items()
    return name, arguments


@cache
def _answers(category: str) -> dict[str, Mapping[str, Any]]:
    path = data_file(category)
    rows = read_rows(path.parent / "possible_answer" / path.name)
    return {row["id"]: row["ground_truth"][0] for row, _ in rows}


def read_rows(path: Path) -> Iterator[tuple[dict[str, Any], Source]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = "Install it again: .venv/bin/python -m pip install --no-deps --force-reinstall bfcl-eval"
        raise DataError("the bfcl-eval package lacks a file", [Problem(str(error), str(path))], hint) from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield json.loads(line), Source(str(path), number)


def data_file(category: str) -> Path:
    return package_file(f"package://bfcl_eval/data/BFCL_v4_{category}.json")
