"""The schema for guided decoding: the backend takes all of it, and it lets through what the suite expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from llguidance import LLMatcher

from suites.honeycomb.generate import DATA

SCHEMA = json.loads((DATA.parent / "schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(DATA / name).read_text(encoding="utf-8").splitlines()]


def test_the_backend_supports_every_keyword() -> None:
    grammar = LLMatcher.grammar_from_json_schema(json.dumps(SCHEMA))
    assert LLMatcher.validate_grammar_with_warnings(grammar) == (False, [])


def test_every_expected_query_fits() -> None:
    for row in rows("eval.jsonl"):
        assert VALIDATOR.is_valid(row["expected"]), row["id"]


def test_of_the_training_rows_only_the_flawed_do_not_fit() -> None:
    misfits = {
        row["id"] for row in rows("train.jsonl") if not VALIDATOR.is_valid(json.loads(row["conversations"][2]["value"]))
    }
    answers = [answer for answer in rows("answers.jsonl") if answer["file"] == "train.jsonl"]
    assert misfits == {answer["id"] for answer in answers if answer["flaw"] == "join-column"}


@pytest.mark.parametrize(
    "query",
    [
        {"calculations": []},
        {"calculations": [{"op": "COUNT", "column": "a"}]},
        {"calculations": [{"op": "SUM"}]},
        {"calculations": [{"op": "P98", "column": "a"}]},
        {"calculations": [{"op": "COUNT"}], "filters": [{"column": "a", "op": "exists", "value": 1}]},
        {"calculations": [{"op": "COUNT"}], "filters": [{"column": "a", "op": "in", "value": "x"}]},
        {"calculations": [{"op": "COUNT"}], "filters": [{"column": "a", "op": "="}]},
        {"calculations": [{"op": "COUNT"}], "orders": [{"op": "HEATMAP", "column": "a", "order": "ascending"}]},
        {"calculations": [{"op": "COUNT"}], "havings": [{"calculate_op": "COUNT", "op": "contains", "value": 1}]},
        {"calculations": [{"op": "COUNT"}], "limit": 1001},
        {"calculations": [{"op": "COUNT"}], "time_range": 0},
        {"calculations": [{"op": "COUNT"}], "order": []},
        {"calculations": [{"op": "COUNT"}] * 6},
        {"calculations": [{"op": "SUM", "column": "a" * 81}]},
    ],
)
def test_what_breaks_the_rules_or_runs_on_does_not_fit(query: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(query)


def test_every_list_and_every_text_is_bounded() -> None:
    def check(schema: Any, path: str) -> None:
        if isinstance(schema, list):
            for index, member in enumerate(schema):
                check(member, f"{path}[{index}]")
        if not isinstance(schema, dict):
            return
        bounds = {"array": ["maxItems"], "string": ["maxLength"], "integer": ["minimum", "maximum"]}
        bounds["number"] = [*bounds["integer"], "multipleOf"]
        if isinstance(schema.get("type"), str):
            assert all(bound in schema for bound in bounds.get(schema["type"], [])), path
        for key, member in schema.items():
            check(member, f"{path}.{key}")

    check(SCHEMA, "$")
