"""Chat templates and files of rows that are named and not there."""

from __future__ import annotations

import pytest

from harness.config.sources import OTHER_TEMPLATE_NAMES, TEMPLATES
from harness.data.chat_templates import named_template, template_names

HEAD = "base_model: org/model\nadapter: lora\n"


def rows(*entries: str) -> str:
    return HEAD + "datasets:\n" + "".join(f"  - {entry}\n" for entry in entries)


def test_templates_are_those_of_the_data_room():
    assert template_names() == TEMPLATES
    assert {other: named_template(other).name for other in OTHER_TEMPLATE_NAMES} == OTHER_TEMPLATE_NAMES


@pytest.mark.parametrize("name", ["chatlm", "tokenizer_default_fallback_chatlm"])
def test_an_unknown_template_is_refused_with_its_line(problems, name):
    assert problems(f"chat_template: {name}\n") == [
        "run.yml:6: chat_template: there is no chat template 'chatlm'; did you mean chatml? allowed: alpaca, chatml, "
        "completion, gemma, llama3, mistral, phi3, qwen, tokenizer_default, or the text of one's own in "
        "chat_template_jinja"
    ]


@pytest.mark.parametrize("key", ["conversation", "chat_template"])
def test_an_unknown_template_of_the_rows_is_refused_with_its_line(problems, key):
    (message,) = problems(text=rows("path: x.jsonl", f"path: a.jsonl\n    {key}: zzzz"))
    assert message.startswith(f"run.yml:6: datasets[1].{key}: there is no chat template 'zzzz'; allowed: alpaca, ")


@pytest.mark.parametrize(
    "name", ["llama3", "inst", "tokenizer_default", "tokenizer_default_fallback_qwen2", "'{{ messages }}'"]
)
def test_known_templates(load, name):
    assert load(f"chat_template: {name}\n").chat_template == name.strip("'")


@pytest.mark.parametrize("extra", ["chat_template: chatml\n", "chat_template_jinja: '{{ messages }}'\n"])
def test_a_template_of_the_rows_may_be_unknown_where_another_takes_its_place(load, extra):
    assert load(text=rows("{path: x.jsonl, conversation: vicuna}") + extra).datasets[0].template == "vicuna"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.jsonl", "'none.jsonl' does not exist"),
        ("./none", "'none' does not exist"),
        ("sub/none/deep", "'sub/none/deep' does not exist"),
        ("none*.jsonl", "no file matches 'none*.jsonl'"),
        ("package://nowhere_at_all/x.json", "package://nowhere_at_all/x.json: the package nowhere_at_all is not"),
    ],
)
def test_missing_rows_are_reported_with_the_other_problems_of_the_file(problems, path, said):
    found = problems(text=rows(f"{{path: '{path}', typ: alpaca}}", f"path: '{path}'") + "lora_r: 0\nseed: 1\nseed: 2\n")
    assert [problem.split(": ")[0] for problem in found] == [f"run.yml:{line}" for line in (4, 4, 5, 6, 8)]
    for place in (0, 1):
        assert sum(f"datasets[{place}].path: {said}" in problem for problem in found) == 1


@pytest.mark.parametrize(
    "path",
    ["org/name", "squad", "x.jsonl", "*.jsonl", "./", "package://harness/config/schema.json", "x" * 5000 + "/a/b"],
)
def test_rows_that_are_there_or_may_be_on_the_hub_are_no_problem(problems, path):
    assert len(problems(text=rows(f"path: '{path}'") + "lora_r: 0\n")) == 1


@pytest.mark.parametrize("path", ["none.jsonl", "none*.jsonl", "package://nowhere_at_all/x.json"])
def test_missing_rows_alone_leave_a_config_good_to_test_a_model_with(load, path):
    assert load(text=rows(f"path: '{path}'")).datasets[0].path.endswith(path)
