"""Decoding parameters and grammars."""

from __future__ import annotations

import json

import pytest

from harness.config import DecodeConfig
from harness.types import Decoding, Grammar


def test_the_default_is_the_nouns_default():
    assert DecodeConfig().decoding() == Decoding()
    assert DecodeConfig().decoding("grammar") == Decoding(mode="grammar")


def test_every_parameter_reaches_the_noun(load):
    text = (
        "decode: {mode: grammar, max_tokens: 9, temperature: 0.5, top_p: 0.9, top_k: 3, repetition_penalty: 1.1, "
        "seed: 4, stop: [a, b]}\n"
    )
    assert load(text).decode.decoding() == Decoding("grammar", 9, 0.5, 0.9, 3, 1.1, 1, 4, ("a", "b"))
    assert load(text).decode.decoding("greedy").mode == "greedy"
    assert load("decode: {beams: 4}\n").decode.decoding().beams == 4


SCHEMA = {"type": "object", "properties": {"b": {"type": ["string", "null"]}, "a": {"const": None}}}


@pytest.mark.parametrize(
    ("text", "grammar"),
    [
        ("{regex: '[ab]+'}", Grammar("regex", "[ab]+")),
        ("{choice: ['yes', b: c]}", None),
        ("{choice: ['yes', 'no']}", Grammar("choice", '["yes", "no"]')),
        ("{choice: [ä]}", Grammar("choice", '["ä"]')),
        ("{lark: 'start: \"a\"'}", Grammar("lark", 'start: "a"')),
        ("{lark: g.lark}", Grammar("lark", 'start: "file"\n')),
        ("{json: s.json}", Grammar("json", json.dumps(SCHEMA))),
        (f"{{json: {json.dumps(SCHEMA)}}}", Grammar("json", json.dumps(SCHEMA))),
        (f"{{json: '{json.dumps(SCHEMA)}'}}", Grammar("json", json.dumps(SCHEMA))),
    ],
)
def test_grammars(load, problems, tmp_path, text, grammar):
    (tmp_path / "g.lark").write_text('start: "file"\n', "utf-8")
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA), "utf-8")
    if grammar is None:
        assert (
            "decode.grammar.choice[1]: {'b': 'c'} is keys and values; it must be text"
            in problems(f"decode: {{grammar: {text}}}\n")[0]
        )
    else:
        assert load(f"decode: {{grammar: {text}}}\n").decode.grammar.grammar() == grammar


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{json: none.json}", "decode.grammar.json: there is no file"),
        ("{json: bad.json}", "decode.grammar.json: this is not JSON"),
        ("{json: list.json}", "decode.grammar.json: a JSON schema is an object"),
        ("{json: [1]}", "decode.grammar.json: [1] is a list; it must be keys and values"),
        ("{lark: none.lark}", "decode.grammar.lark: there is no file"),
        ("{lark: latin.lark}", "decode.grammar.lark: "),
        ("{choice: []}", "decode.grammar.choice is empty"),
        ("{choice: 'yes'}", "decode.grammar.choice: 'yes' is text; it must be a list"),
    ],
)
def test_grammar_problems(problems, tmp_path, text, said):
    (tmp_path / "bad.json").write_text("{", "utf-8")
    (tmp_path / "list.json").write_text("[]", "utf-8")
    (tmp_path / "latin.lark").write_bytes(b"\xe9")
    found = problems(f"decode: {{grammar: {text}}}\n")
    assert len(found) == 1
    assert said in found[0]
