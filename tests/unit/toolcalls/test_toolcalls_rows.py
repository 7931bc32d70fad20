import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
from llguidance import LLMatcher

from harness.checks.toolcalls import calls_tool
from harness.data import Skip
from harness.errors import DataError
from harness.types import Case, Source, to_json

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def cases(rows):
    return rows.eval_cases()


@pytest.fixture(scope="module")
def samples(rows, all_rows):
    found = [rows.training_sample(row, source) for row, source in all_rows]
    return [sample for sample in found if not isinstance(sample, Skip)]


@pytest.fixture(scope="module")
def skipped(rows, all_rows):
    found = [rows.training_sample(row, source) for row, source in all_rows]
    return [skip for skip in found if isinstance(skip, Skip)]


def offered(item):
    return {function["name"] for function in item.meta["functions"]}


def test_every_row_is_a_case_or_a_sample_or_counted_as_skipped(all_rows, cases, samples, skipped):
    reasons = Counter(skip.reason for skip in skipped)
    assert len(all_rows) == 600
    assert reasons == {
        "its function is held out for the cases": len(cases),
        "it offers a function that is held out for the cases": 600 - len(cases) - len(samples),
    }
    assert len(cases) == 140
    assert len(samples) == 410


def test_no_held_out_function_is_trained_on_or_shown(cases, samples):
    held_out = {case.expected["name"] for case in cases}
    assert held_out
    for sample in samples:
        assert not held_out & offered(sample), sample.id
        assert not any(name in sample.messages[-1].content for name in {f'"{name}"' for name in held_out})


def test_no_question_of_a_case_is_trained_on(cases, samples):
    asked = {case.messages[-1].content.strip().lower() for case in cases}
    assert not asked & {sample.messages[-2].content.strip().lower() for sample in samples}


def test_split_depends_on_the_function_name_alone(rows):
    assert rows.is_held_out("math.factorial")
    assert not rows.is_held_out("math.hypot")
    share = sum(rows.is_held_out(f"function_{i}") for i in range(10_000)) / 10_000
    assert 0.23 < share < 0.27


def test_cases_are_whole_and_alike_each_time(rows, cases):
    assert len({case.id for case in cases}) == len(cases)
    assert {case.tags["category"] for case in cases} == {"simple_python", "multiple"}
    for case in cases:
        assert case.suite == "toolcalls"
        assert case.cluster == case.tags["function"] == case.expected["name"]
        assert case.expected["name"] in offered(case)
        assert [message.role for message in case.messages] == ["system", "user"]
        assert case.tools == ()
        assert Case.from_json(json.loads(json.dumps(to_json(case)))) == case
    assert rows.eval_cases() == cases


def test_the_prompt_holds_every_function_with_its_schema(cases):
    for case in cases:
        instruction, *functions = case.messages[0].content.splitlines()
        assert "JSON" in instruction
        shown = [json.loads(line) for line in functions]
        assert {function["name"] for function in shown} == offered(case)
        for function in shown:
            jsonschema.Draft202012Validator.check_schema(function["parameters"])


def test_every_trained_reply_passes_the_check_it_is_trained_for(rows, all_rows, samples):
    answers = {row["id"]: rows.answer(row, source) for row, source in all_rows}
    for sample in samples:
        name, arguments = answers[sample.id]
        check = calls_tool(sample.messages[-1].content, name=name, tools=sample.meta["functions"], answers=arguments)
        assert check, (sample.id, check.reason)
        assert sample.messages[-1].role == "assistant"
        assert sample.cluster == sample.tags["function"] == name


def test_first_answers_of_every_case_are_allowed_by_its_grammar(rows, cases):
    for case in cases:
        function = next(f for f in case.meta["functions"] if f["name"] == case.expected["name"])
        reply = {"name": function["name"], "arguments": rows.first_arguments(function, case.expected["arguments"])}
        jsonschema.validate(reply, json.loads(case.grammar.text))


def test_the_backend_takes_every_grammar_without_a_warning(cases):
    for case in cases:
        grammar = LLMatcher.grammar_from_json_schema(case.grammar.text)
        assert LLMatcher.validate_grammar_with_warnings(grammar) == (False, []), case.id


@pytest.mark.parametrize(
    ("options", "required", "expected"),
    [
        ([5, 6], [], {"a": 5}),
        (["", 5], [], {}),
        (["", 5], ["a"], {"a": 5}),
        ([[1, 2]], [], {"a": [1, 2]}),
        ([{"x": [1, 2], "y": ["", 3]}], [], {"a": {"x": 1}}),
        ([[{"x": [1]}, {"x": ["b", "c"]}]], [], {"a": [{"x": 1}, {"x": "b"}]}),
        ([False], [], {"a": False}),
        ([0], [], {"a": 0}),
    ],
)
def test_first_arguments(rows, options, required, expected):
    function = {"name": "f", "parameters": {"properties": {"a": {}}, "required": required}}
    assert rows.first_arguments(function, {"a": options}) == expected


@pytest.mark.parametrize("row_id", ["live_simple_0", "simple_python_999999", None])
def test_row_that_is_not_of_these_files_is_an_error_with_its_place(rows, row_id):
    with pytest.raises(DataError, match=r"other\.json:7: row "):
        rows.training_sample({"id": row_id, "function": []}, Source("other.json", 7))


def test_data_is_read_without_importing_the_package_or_anything_heavy():
    code = (
        "import sys; from suites.toolcalls import rows; assert rows.eval_cases()\n"
        "heavy = {'bfcl_eval', 'torch', 'transformers', 'openai', 'jsonschema', 'llguidance', 'pyarrow', 'pytest'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
