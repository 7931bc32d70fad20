from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harness.errors import GrammarError
from harness.serving.grammar import check_grammar, endpoint_fields, structured_outputs
from harness.types import Grammar


def schema(**keywords):
    return Grammar("json", json.dumps(keywords))


def message(grammar, engine="vllm"):
    with pytest.raises(GrammarError) as caught:
        check_grammar(grammar, engine)
    return str(caught.value)


GOOD = [
    schema(type="object", properties={"a": {"type": "integer", "minimum": 0}}, required=["a"]),
    schema(type="array", items={"enum": ["a", 1, None]}, maxItems=3),
    schema(anyOf=[{"type": "string"}, {"$ref": "#/$defs/n"}], **{"$defs": {"n": {"type": "number"}}}),
    schema(type="string", title="t", description="d", default="uniqueItems", examples=["x"]),
    Grammar("regex", "[a-z]+(-[0-9]{2})?"),
    Grammar("choice", '["yes", "no"]'),
    Grammar("lark", 'start: "a" | "b" start'),
]


@pytest.mark.parametrize("grammar", GOOD, ids=lambda grammar: f"{grammar.kind} {grammar.text[:40]}")
@pytest.mark.parametrize("engine", ["vllm", "transformers", "endpoint"])
def test_what_is_supported_passes(grammar, engine):
    check_grammar(grammar, engine)


@pytest.mark.parametrize("keyword", ["uniqueItems", "not", "if", "contains", "propertyNames", "unevaluatedProperties"])
def test_an_unsupported_keyword_is_named(keyword):
    value = True if keyword == "uniqueItems" else {"type": "string"}
    assert f'keyword "{keyword}"' in message(schema(**{keyword: value}))


def test_every_unsupported_keyword_is_named_with_its_place():
    text = message(
        schema(
            type="object",
            properties={
                "a": {"type": "array", "uniqueItems": True},
                "b": {"type": "object", "properties": {"c": {"not": {"type": "null"}}}},
            },
        )
    )
    assert '#/properties/a: keyword "uniqueItems"' in text
    assert '#/properties/b/properties/c: keyword "not"' in text


def test_a_property_called_like_a_keyword_is_no_keyword():
    text = message(
        schema(
            type="object", properties={"uniqueItems": {"type": "array", "uniqueItems": True}, "not": {"type": "null"}}
        )
    )
    assert text.count("keyword") == 1
    assert "#/properties/uniqueItems: keyword" in text


def test_values_are_no_keywords():
    check_grammar(schema(enum=[{"uniqueItems": True}]), "vllm")


def test_a_pattern_that_cannot_be_enforced():
    assert "look-around" in message(schema(type="string", pattern="(?=a)b"))


def test_a_schema_that_nothing_satisfies():
    assert "minimum (5) is greater than maximum (3)" in message(schema(type="integer", minimum=5, maximum=3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "is an object"),
        ('{"type": "strin"}', "strin"),
        ('{"required": "a"}', "#/required"),
        ('{"properties": {"a": {"minimum": "x"}, "b": {"type": 3}}}', "#/properties/b/type"),
    ],
)
def test_an_invalid_schema(text, said):
    assert said in message(Grammar("json", text))


def test_all_errors_of_an_invalid_schema_are_listed():
    text = message(Grammar("json", '{"properties": {"a": {"minimum": "x"}, "b": {"type": 3}}}'))
    assert "#/properties/a/minimum" in text
    assert "#/properties/b/type" in text


@pytest.mark.parametrize(
    ("pattern", "said"), [("a(", "unclosed group"), (r"(a)\1", "backreferences"), ("(?!a)b", "look-around")]
)
def test_an_invalid_regex(pattern, said):
    assert said in message(Grammar("regex", pattern))


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "empty"), ('start: "a', "lexer error"), ("start: x", 'unknown name: "x"'), ('begin: "x"', "Expected ::=")],
)
def test_an_invalid_lark_grammar(text, said):
    assert said in message(Grammar("lark", text))


@pytest.mark.parametrize("text", ["yes", "[]", "{}", '["a", 1]', '["a", ""]'])
def test_invalid_choices(text):
    assert "choice" in message(Grammar("choice", text))


def test_an_endpoint_may_support_more_than_we_know_but_not_a_broken_schema():
    check_grammar(schema(type="array", uniqueItems=True), "endpoint")
    assert "strin" in message(schema(type="strin"), "endpoint")


def test_the_engine_is_named():
    assert "the transformers engine" in message(schema(type="array", uniqueItems=True), "transformers")


def test_translation():
    assert structured_outputs(schema(type="null"))["json"]["type"] == "null"
    own = schema(type="null", **{"x-guidance": {"whitespace_flexible": True}})
    assert structured_outputs(own) == {"json": json.loads(own.text)}
    assert structured_outputs(Grammar("choice", '["a"]')) == {"choice": ["a"]}
    assert structured_outputs(Grammar("regex", "a+")) == {"regex": "a+"}
    assert structured_outputs(Grammar("lark", "start: A")) == {"grammar": "start: A"}
    assert endpoint_fields(schema(type="null"))["response_format"]["json_schema"]["schema"] == {"type": "null"}
    assert endpoint_fields(Grammar("regex", "a+")) == {"structured_outputs": {"regex": "a+"}}


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ('{"a":[1,2]}', True),
        ('{"a": [1, 2]}', True),
        ('{"a":  [1,2]}', False),
        ('{\n"a": [1]}', False),
        ('{"a":[]', False),
    ],
)
def test_whitespace_is_bounded(text, allowed):
    """Byte by byte, so that no tokenizer is needed."""
    import llguidance

    grammar = schema(
        type="object",
        properties={"a": {"type": "array", "items": {"type": "integer"}}},
        required=["a"],
        additionalProperties=False,
    )
    tokenizer = llguidance.LLTokenizer("byte")
    constraint = llguidance.LLMatcher.grammar_from_json_schema(
        structured_outputs(grammar)["json"], defaults={"whitespace_flexible": True}
    )
    matcher = llguidance.LLMatcher(tokenizer, constraint)
    tokens = tokenizer.tokenize_str(text)
    assert (matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()) is allowed


def test_checking_imports_no_model_library():
    code = (
        "import sys; from harness.serving import check_grammar; from harness.types import Grammar\n"
        "check_grammar(Grammar('json', '{\"type\": \"null\"}'), 'vllm')\n"
        "heavy = {'torch', 'transformers', 'openai', 'outlines', 'vllm', 'xgrammar', 'tokenizers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_room_is_light():
    code = (
        "import sys, harness.serving\n"
        "heavy = {'torch', 'transformers', 'openai', 'outlines', 'vllm', 'llguidance', 'jsonschema', 'pyarrow', "
        "'tokenizers', 'httpx2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
