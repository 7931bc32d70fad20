"""What makes a reply another reply: all that it depends on, and nothing else."""

import json
from dataclasses import replace

import pytest
from hand_world import CASE

from harness.job import KeyContext
from harness.types import Decoding, Grammar, Message, ToolCall, to_json

CONTEXT = KeyContext("model", "template", "tokenizer", {"engine": "vllm", "version": "1"}, Decoding())
GUIDED = replace(CONTEXT, decoding=Decoding(mode="grammar"))
JSON, WORDS = Grammar("json", "{}"), Grammar("choice", '["a"]')
CALL = Message("assistant", "", tool_calls=(ToolCall("f", {"x": 1}),))


@pytest.mark.parametrize(
    "changed",
    [
        replace(CONTEXT, model_hash="modem"),
        replace(CONTEXT, template="templato"),
        replace(CONTEXT, tokenizer_hash="tokenizes"),
        replace(CONTEXT, engine={"engine": "vllm", "version": "2"}),
        replace(CONTEXT, decoding=Decoding(max_tokens=257)),
        replace(CONTEXT, decoding=Decoding(seed=1)),
    ],
)
def test_another_model_engine_or_decoding_misses(changed):
    assert changed.key(CASE) != CONTEXT.key(CASE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(CASE, messages=(Message("user", "What!"),)),
        replace(CASE, messages=(Message("system", "What?"),)),
        replace(CASE, messages=(*CASE.messages, CALL)),
        replace(CASE, tools=({"name": "f"},)),
    ],
)
def test_another_question_misses(changed):
    assert CONTEXT.key(changed) != CONTEXT.key(CASE)


@pytest.mark.parametrize("call", [ToolCall("g", {"x": 1}), ToolCall("f", {"x": 2}), ToolCall("f", {"x": 1}, "id")])
def test_another_tool_call_before_the_question_misses(call):
    before, after = (replace(CASE, messages=(m,)) for m in (CALL, replace(CALL, tool_calls=(call,))))
    assert CONTEXT.key(before) != CONTEXT.key(after)


def test_another_repeat_misses():
    assert len({CONTEXT.key(CASE, repeat) for repeat in range(3)}) == 3


def test_expectations_tags_and_the_id_play_no_part():
    other = replace(CASE, id="other", expected={"a": 1}, tags={"t": "x"}, meta={"m": 1}, suite="s", cluster="k")
    assert CONTEXT.key(other) == CONTEXT.key(CASE)


def test_replies_of_a_file_are_known_by_case_id():
    by_id = replace(CONTEXT, engine={"by_case_id": True})
    assert by_id.key(replace(CASE, id="other")) != by_id.key(CASE)


def test_a_grammar_counts_only_while_decoding_is_guided():
    assert CONTEXT.key(replace(CASE, grammar=JSON)) == CONTEXT.key(CASE)
    keys = {GUIDED.key(CASE), GUIDED.key(replace(CASE, grammar=JSON)), GUIDED.key(replace(CASE, grammar=WORDS))}
    assert len(keys) == 3


def test_the_cases_own_grammar_goes_before_the_configs():
    of_config = replace(GUIDED, grammar=WORDS)
    assert of_config.grammar_of(CASE) == WORDS
    assert of_config.grammar_of(replace(CASE, grammar=JSON)) == JSON
    assert replace(of_config, decoding=Decoding()).grammar_of(CASE) is None


@pytest.mark.parametrize("context", [CONTEXT, replace(GUIDED, grammar=JSON)])
def test_a_context_read_from_json_gives_the_same_keys(context):
    copy = KeyContext.from_json(json.loads(json.dumps(to_json(context))))
    assert copy == context
    assert copy.key(CASE, 2) == context.key(CASE, 2)
