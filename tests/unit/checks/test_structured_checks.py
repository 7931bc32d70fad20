from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import equals_json, is_json, matches_schema
from harness.errors import GrammarError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("text", ["{}", "\n{} \n", "[1, 2]", '"x"', "3", "-1.5e3", "true", "null"])
def test_json(text: str) -> None:
    assert is_json(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the reply is empty"),
        (" \n", "the reply is empty"),
        ('{"a": 1', "Expecting ',' delimiter at character 7 of 7"),
        ("{'a': 1}", "Expecting property name enclosed in double quotes at character 1"),
        ('{"a": 1} and more', "Extra data at character 9"),
        ('```json\n{"a": 1}\n```', "; the JSON stands in a ``` block"),
        ('{"a": NaN}', "NaN is a number only to Python and JavaScript"),
        ("[-Infinity]", "-Infinity is a number only to"),
        ("[" * 100_000, "nested too deeply to be read"),
        ("1" * 5000, "not JSON: "),
    ],
)
def test_not_json(text: str, reason: str) -> None:
    check = is_json(text)
    assert not check
    assert reason in check.reason


def test_a_reply_that_was_cut_off_says_so(generation) -> None:
    cut = generation('{"breakdowns": ["a", "b', finish_reason="length", completion_tokens=64)
    assert "cut off after 64 tokens" in is_json(cut).reason
    assert "\"b'" in is_json(cut).reason


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{}", "object"),
        ("[]", "array"),
        ('""', "string"),
        ("1", "number"),
        ("1.5", "number"),
        ("true", "boolean"),
        ("null", "null"),
    ],
)
def test_kinds_of_json(text: str, kind: Any) -> None:
    assert is_json(text, kind)
    for other in {"object", "array", "string", "number", "boolean", "null"} - {kind}:
        assert is_json(text, other).reason == f"JSON, but {kind} instead of {other}: {text!r}"


# schema

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"price": {"type": "number", "minimum": 0}}},
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}


def test_matches_schema(generation) -> None:
    assert matches_schema(generation('\n{"name": "x", "items": [{"price": 1}]}'), SCHEMA)
    assert matches_schema("3", True)


def test_every_schema_error_with_its_path() -> None:
    check = matches_schema('{"items": [{"price": 1}, {"price": -1}, {"price": "x"}], "extra": 1}', SCHEMA)
    lines = check.reason.splitlines()
    assert lines[0] == "4 problems:"
    assert [line.split(":")[0] for line in lines[1:]] == ["$", "$", "$.items[1].price", "$.items[2].price"]
    assert "'name' is a required property" in check.reason
    assert "-1 is less than the minimum of 0" in check.reason


def test_of_several_alternatives_the_likeliest_is_explained() -> None:
    schema = {
        "anyOf": [
            {"type": "object", "properties": {"op": {"const": "COUNT"}}, "required": ["op"]},
            {
                "type": "object",
                "properties": {"op": {"const": "SUM"}, "column": {"type": "string"}},
                "required": ["op"],
            },
        ]
    }
    check = matches_schema('{"op": "SUM", "column": 3}', schema)
    assert "nearest:" in check.reason
    assert "$.op" in check.reason or "$.column" in check.reason


def test_a_long_value_is_cut_down() -> None:
    check = matches_schema(json.dumps(["x" * 5000]), {"type": "object"})
    assert len(check.reason) < 250
    assert "is not of type 'object'" in check.reason


def test_schema_of_text_that_is_no_json() -> None:
    assert "not JSON" in matches_schema("hello", SCHEMA).reason


def test_a_schema_in_a_file(tmp_path) -> None:
    path = tmp_path / "schema.json"
    path.write_text('{"type": "integer"}')
    assert matches_schema("3", path)
    assert not matches_schema('"3"', str(path))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "objekt"}, "not a JSON schema: "),
        ({"properties": 3}, "not a JSON schema: "),
        ({"$ref": "https://example.com/other.json"}, "refers to 'https://example.com/other.json'"),
        ({"$ref": "#/$defs/nothing"}, "refers to "),
    ],
)
def test_a_bad_schema_is_the_suite_s_mistake_not_the_model_s(schema: Any, message: str) -> None:
    with pytest.raises(GrammarError, match=message.replace("$", r"\$")):
        matches_schema("{}", schema)


def test_a_schema_file_that_is_not_there_or_no_json(tmp_path) -> None:
    with pytest.raises(GrammarError, match="cannot be read"):
        matches_schema("{}", tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(GrammarError, match="is not JSON"):
        matches_schema("{}", broken)


def test_another_draft_is_honoured() -> None:
    draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True}
    assert not matches_schema("3", draft4)
    assert matches_schema("2", draft4)


# equality


@pytest.mark.parametrize(
    ("have", "want", "lines"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {"a": True}, ["$.a: 1 instead of true"]),
        ({"a": 0}, {"a": False}, ["$.a: 0 instead of false"]),
        ({"a": 1}, {"a": "1"}, ['$.a: 1 instead of "1"']),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["$.a.b[1]: 2 instead of 3"]),
        ({"a": 1}, {"b": 1}, ["$.b: missing, 1 expected", "$.a: unexpected 1"]),
        ([1, 2, 3], [2, 3], ["$[0]: unexpected 1"]),
        ([2, 3], [1, 2, 3], ["$[0]: missing, 1 expected"]),
        ([], {}, ["$: [] instead of {}"]),
        ({"a b": 1}, {"a b": 2}, ['$["a b"]: 1 instead of 2']),
        (None, 0, ["$: null instead of 0"]),
    ],
)
def test_differences_by_path(have: Any, want: Any, lines: list[str]) -> None:
    check = equals_json(json.dumps(have), want)
    assert bool(check) == (not lines)
    assert check.reason.splitlines()[-len(lines) :] == lines if lines else not check.reason


def test_equals_json_takes_generations_and_values(generation) -> None:
    assert equals_json(generation('\n{"a": [1]}'), {"a": [1]})
    assert equals_json({"a": (1, 2)}, {"a": [1, 2]})
    assert "not JSON" in equals_json("x", {}).reason


def test_without_order() -> None:
    have, want = [1, {"a": [1, 2]}, 2], [{"a": [2, 1]}, 2, 1]
    assert equals_json(have, want, ordered=False)
    assert not equals_json(have, want)
    assert equals_json([1, 1, 2], [1, 2, 2], ordered=False).reason == "$: 1 instead of 2"
    assert equals_json([1, 1], [1], ordered=False).reason == "$: unexpected 1"


@pytest.mark.parametrize("depth", [300, 700, 900, 980, 5000])
def test_deep_nesting_is_a_failure_and_not_a_crash(depth: int) -> None:
    text = "[" * depth + "]" * depth
    assert not equals_json(text, {})
    assert not matches_schema(text, {"items": {"items": {"type": "string"}}})
    assert not is_json(text, "object")


@given(JSON, JSON)
def test_equality_agrees_with_python_s_where_types_agree(have: Any, want: Any) -> None:
    """Against an independent reference: JSON text with sorted keys, numbers as floats."""

    def reference(value: Any) -> str:
        if isinstance(value, bool) or value is None or isinstance(value, str):
            return json.dumps(value)
        if isinstance(value, int | float):
            return f"n{float(value) + 0.0!r}".replace("n-0.0", "n0.0")
        if isinstance(value, list):
            return "[" + ",".join(map(reference, value)) + "]"
        return "{" + ",".join(f"{json.dumps(key)}:{reference(value[key])}" for key in sorted(value)) + "}"

    assert bool(equals_json([have], [want])) == (reference(have) == reference(want))
    assert equals_json([have], [have])
    assert equals_json([have], [have], ordered=False)
