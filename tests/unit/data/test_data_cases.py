"""Case files."""

import json

import pytest

from harness.data import case_of, load_cases
from harness.data.identity import digest_of
from harness.errors import DataError
from harness.types import Case, Grammar, Message, Sample, to_json

QUESTION = [{"role": "user", "content": "q"}]


def _file(folder, *rows):
    file = folder / "cases.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def _load(folder, *rows, **options):
    return load_cases(_file(folder, *rows), suite="s", **options)


def test_the_last_reply_becomes_what_is_expected(tmp_path):
    row = {
        "conversations": [
            {"from": "system", "value": "S"},
            {"from": "human", "value": "\n\nq"},
            {"from": "gpt", "value": '\n{"a": 1}'},
        ],
        "columns": ["a"],
        "cluster": "c",
    }
    (case,) = _load(tmp_path, row)
    assert case.messages == (Message("system", "S"), Message("user", "\n\nq"))
    assert (case.expected, case.meta, case.cluster, case.suite) == ('\n{"a": 1}', {"columns": ["a"]}, "c", "s")


def test_an_expected_of_its_own_wins_over_the_reply(tmp_path):
    (case,) = _load(tmp_path, {"messages": [*QUESTION, {"role": "assistant", "content": "r"}], "expected": {"a": 1}})
    assert (len(case.messages), case.expected) == (1, {"a": 1})


def test_rows_without_a_reply_are_cases(tmp_path):
    (case,) = _load(tmp_path, {"messages": QUESTION})
    assert case.expected is None
    assert not case.meta


def test_tool_calls_are_expected_as_calls(tmp_path):
    call = {"function": {"name": "f", "arguments": '{"x": 1}'}}
    (case,) = _load(
        tmp_path, {"messages": [*QUESTION, {"role": "assistant", "tool_calls": [call]}], "tools": [{"name": "f"}]}
    )
    assert case.expected == [{"name": "f", "arguments": {"x": 1}}]
    assert case.tools == ({"type": "function", "function": {"name": "f"}},)


def test_our_own_json_reads_back(tmp_path):
    case = Case(
        "c1",
        (Message("user", "q"), Message("assistant", "a"), Message("user", "q2")),
        ({"type": "function", "function": {"name": "f"}},),
        {"x": [1, None]},
        {"kind": "easy"},
        {"m": 1},
        "s",
        "cl",
        Grammar("regex", "a+"),
    )
    assert _load(tmp_path, to_json(case)) == (case,)


@pytest.mark.parametrize(
    ("given", "grammar"),
    [
        ({"type": "object"}, Grammar("json", '{"type": "object"}')),
        ({"json": {"type": "array"}}, Grammar("json", '{"type": "array"}')),
        ({"choice": ["a", "b"]}, Grammar("choice", '["a", "b"]')),
        ({"lark": "start: A"}, Grammar("lark", "start: A")),
    ],
)
def test_grammars(tmp_path, given, grammar):
    assert _load(tmp_path, {"messages": QUESTION, "grammar": given})[0].grammar == grammar


def test_everything_that_is_wrong_is_reported_at_once(tmp_path):
    rows = [
        {"messages": QUESTION, "id": "a"},
        "{bad",
        {"messages": QUESTION, "id": "a"},
        {"messages": [{"role": "assistant", "content": "r"}]},
        {"messages": QUESTION, "grammar": 3},
    ]
    with pytest.raises(DataError) as caught:
        _load(tmp_path, *rows)
    assert sorted(problem.line for problem in caught.value.problems) == [2, 3, 4, 5]
    text = str(caught.value)
    for part in (
        "4 problems in the cases of",
        "malformed JSON",
        "already that of the row at",
        "nothing is left to ask",
        "'grammar' must be",
    ):
        assert part in text


def test_ids_without_one_depend_on_what_is_asked_and_expected(tmp_path):
    rows = [{"messages": QUESTION, "expected": n} for n in (1, 2, 1)]
    cases = _load(tmp_path, *rows)
    first = digest_of((Message("user", "q"),), (), 1)
    assert [case.id for case in cases][::2] == [first, f"{first}#2"]
    assert cases[1].id != first


def test_from_sample_makes_cases(tmp_path):
    def both(sample: Sample):
        if sample.meta.get("skip"):
            return None
        first = case_of(sample)
        return [first, Case(f"{first.id}-b", first.messages)]

    rows = [{"messages": QUESTION, "id": "x"}, {"messages": QUESTION, "id": "y", "skip": 1}]
    assert [(case.id, case.suite) for case in _load(tmp_path, *rows, from_sample=both)] == [("x", "s"), ("x-b", "s")]


def test_from_sample_that_fails_is_placed(tmp_path):
    def fails(sample: Sample):
        raise KeyError("oops")

    with pytest.raises(DataError, match=r"cases.jsonl:1: row x: fails raised KeyError: 'oops'"):
        _load(tmp_path, {"messages": QUESTION, "id": "x"}, from_sample=fails)
    with pytest.raises(DataError, match="must return a Case"):
        _load(tmp_path, {"messages": QUESTION, "id": "x"}, from_sample=lambda sample: ["text"])
    with pytest.raises(DataError, match="is that of two cases"):
        _load(tmp_path, {"messages": QUESTION, "id": "x"}, from_sample=lambda sample: [case_of(sample)] * 2)


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load_cases(tmp_path / "no.jsonl", suite="s")
    with pytest.raises(DataError, match="holds no rows"):
        _load(tmp_path)
    with pytest.raises(DataError, match="holds no cases"):
        _load(tmp_path, {"messages": QUESTION}, from_sample=lambda sample: None)


def test_a_slice_and_a_type_may_be_named(tmp_path):
    rows = [{"prompt": f"p{n}", "completion": " c"} for n in range(5)]
    cases = _load(tmp_path, *rows, split="[1:3]", type="prompt_completion")
    assert [case.messages[0].content for case in cases] == ["p1", "p2"]
