"""Text is that of ``transformers``' ``apply_chat_template``, byte for byte."""

# ruff: noqa: E501  (templates are long lines)

from datetime import datetime

import pytest
from model_folders import byte_level
from real_templates import real_templates

from harness.data.chat_templates import ChatTemplate, named_template, template_names
from harness.data.chat_text import ChatText, chat_message
from harness.data.problems import RowError
from harness.errors import TemplateError
from harness.types import Message, ToolCall

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the <weather> & more — “now”",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Where"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
        "return": {"type": "object"},
    },
}
CALL = ToolCall("get_weather", {"city": "Zürich", "days": 3, "deep": {"a": [1, None, True]}}, "abcdefghi")
CONVERSATIONS = {
    "one turn": ((Message("user", "Hi"),), ()),
    "unicode": ((Message("user", 'ü 🙂 <b>&amp;</b> "q" \\n \u2028 日本語'), Message("assistant", "«ok» 🙃")), ()),
    "system, newlines": (
        (Message("system", "Be good. "), Message("user", "\n\nNLQ: x\n"), Message("assistant", '\n{"a": 1}\n')),
        (),
    ),
    "many turns": (
        (
            Message("user", "a"),
            Message("assistant", "b"),
            Message("user", "c"),
            Message("assistant", "<think>\nhm\n</think>\n\nd"),
            Message("user", "e"),
        ),
        (),
    ),
    "tools offered": ((Message("system", "S"), Message("user", "Weather?")), (TOOL,)),
    "tools called": (
        (
            Message("user", "Weather?"),
            Message("assistant", "", (CALL,)),
            Message("tool", '{"t": "3°"}', name="get_weather", tool_call_id="abcdefghi"),
            Message("assistant", "It is 3°."),
            Message("user", "Thanks"),
        ),
        (TOOL,),
    ),
    "begins with the assistant": ((Message("assistant", "Hello"), Message("user", "Hi")), ()),
}

SYNTHETIC = {
    "date": "{{ bos_token }}{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}",
    "raises": "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}{{ m.content }}{% endfor %}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% else %}"
    "{{ m.content }}\n{% endif %}{% endfor %}",
    "loop controls": "{% for m in messages %}{% if loop.index > 3 %}{% break %}{% endif %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.content }}{% endfor %}",
    "tojson": "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ tools | tojson(ensure_ascii=True, sort_keys=True) }}{{ documents | tojson }}",
    "blocks": "  {% if true %}\n  x\n  {% endif %}\n{# note #}\n\t{%- set ns = namespace(n=0) %}\n{% for m in messages %}\n{% set ns.n = ns.n + 1 %}\n"
    "{{ ns.n }}{{ m.content | trim }}\n{% endfor %}\n",
    "macro": "{%- macro show(m, first=false) -%}{{ m['role'] | upper }}{{ '!' if first }}: {{ m.content }}{%- endmacro -%}"
    "{% for m in messages %}{{ show(m, loop.first) }}{% endfor %}{{ pad_token }}{{ unknown_name }}{{ cls_token is defined }}",
    "attributes": "{% for m in messages %}{{ m.name is defined }}{{ 'tool_calls' in m }}{{ m.get('content') }}{{ m.tool_calls | length }}{% endfor %}",
    "mutates": "{% set _ = messages.append({'role': 'x', 'content': 'y'}) %}{{ messages | length }}",
    "private": "{{ messages.__class__.__mro__ }}",
    "filters": "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join('|') }}{{ messages[::-1] | length }}{{ messages[-1].content.split('\\n') }}",
    "quotes": "{{ messages[0].content | escape }}{{ '<' }}{{ messages[0] }}",
}


def _templates() -> dict[str, str]:
    ours = {f"our {name}": named_template(name).texts["default"] for name in template_names()}
    return {**SYNTHETIC, **ours, **real_templates()}


@pytest.fixture(scope="module")
def reference():
    transformers = pytest.importorskip("transformers")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=byte_level(["<unk>", "<pad>", "<s>", "</s>"]), **TOKENS
    )


def _ours(name, text, messages, tools, generate):
    try:
        return ChatText(ChatTemplate(name, {"default": text}), TOKENS).render(
            [chat_message(message) for message in messages], tools, generate=generate
        )
    except (RowError, TemplateError):
        return None


def _theirs(tokenizer, text, messages, tools, generate):
    try:
        return tokenizer.apply_chat_template(
            [chat_message(message) for message in messages],
            tools=[dict(tool) for tool in tools] or None,
            chat_template=text,
            add_generation_prompt=generate,
            tokenize=False,
            turn_eos="",
        )
    except Exception:
        return None


@pytest.mark.parametrize("name", _templates())
def test_text_is_the_same_byte_for_byte(name, reference):
    text = _templates()[name]
    rendered = 0
    for title, (messages, tools) in CONVERSATIONS.items():
        for generate in (True, False):
            ours = _ours(name, text, messages, tools, generate)
            theirs = _theirs(reference, text, messages, tools, generate)
            assert ours == theirs, (title, generate)
            rendered += ours is not None
    assert rendered or name in ("mutates", "private", "granite-1")


def test_real_templates_were_compared():
    """The packages that carry them are part of the full installation."""
    if not real_templates():
        pytest.skip("neither bfcl-eval nor vllm is installed")
    assert len(real_templates()) >= 10


def test_the_date_is_todays():
    before = datetime.now().strftime("%d %b %Y")
    text = _ours("date", SYNTHETIC["date"], (Message("user", "x"),), (), True)
    assert before in text or datetime.now().strftime("%d %b %Y") in text
