"""The renderer: prompts of training and of serving are the same ids, one BOS, trained stops, masks."""

# ruff: noqa: E501  (templates are long lines)

import contextlib
import re
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_folders import CHATML, byte_level, model_folder, prepending, with_bos
from real_templates import real_templates

from harness.data import Renderer
from harness.data.chat_templates import template_names
from harness.data.masks import MaskRules
from harness.data.problems import RowError
from harness.errors import DataError, ModelError, TemplateError
from harness.types import Message, Sample, ToolCall

CHAT = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
TALK = (
    Message("system", "Be good."),
    Message("user", "\n\nNLQ: x"),
    Message("assistant", '\n{"a": 1}'),
    Message("user", "more"),
    Message("assistant", "ok"),
)


@pytest.fixture(scope="module")
def chatml(tmp_path_factory):
    """A model like SmolLM2: BOS is also the marker of roles, and the tokenizer adds none."""
    folder = tmp_path_factory.mktemp("models") / "chatml"
    model_folder(folder, template=CHAT, bos_token="<|im_start|>", eos_token="<|im_end|>", unk_token="<|endoftext|>")
    return Renderer.from_folder(folder)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A model like Mistral: every text begins with BOS, and the tokenizer marks the start of a text with a space."""
    folder = tmp_path_factory.mktemp("models") / "llama"
    model_folder(
        folder, with_bos(prepending(), "<s>"), template=MISTRAL, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    return Renderer.from_folder(folder)


def trained(renderer, row) -> str:
    return "".join(renderer.token_text(i) for i, label in zip(row.input_ids, row.labels, strict=True) if label != -100)


def whole(renderer, row) -> str:
    return renderer.decode(row.input_ids, keep_special=True)


def reasons(renderer, sample, **options) -> str:
    with pytest.raises(DataError) as caught:
        renderer.encode(sample, **options)
    return str(caught.value)


class TestRow:
    def test_text_mask_and_ids(self, chatml):
        row = chatml.encode(Sample("a", TALK))
        assert whole(chatml, row) == (
            "<|im_start|>system\nBe good.<|im_end|>\n<|im_start|>user\n\n\nNLQ: x<|im_end|>\n"
            '<|im_start|>assistant\n\n{"a": 1}<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\nok<|im_end|>\n'
        )
        assert trained(chatml, row) == '\n{"a": 1}<|im_end|>ok<|im_end|>'
        assert all(label in (-100, i) for i, label in zip(row.input_ids, row.labels, strict=True))

    def test_a_prompt_is_the_start_of_the_row(self, chatml):
        row = chatml.encode(Sample("a", TALK))
        for turns in (2, 4):
            prompt = chatml.prompt_ids(TALK[:turns])
            assert row.input_ids[: len(prompt)] == prompt
            assert row.labels[len(prompt)] != -100

    def test_the_newline_of_the_prompt_and_that_of_the_reply_stay_apart(self, chatml):
        """Tokenised as one text they would be one token, which no prompt ends in."""
        tokenizer = chatml.tokenizer.tokenizer
        merged = [tokenizer.token_to_id("ĊĊ")]
        assert tokenizer.encode("\n\n", add_special_tokens=False).ids == merged
        row = chatml.encode(Sample("a", (Message("user", "q"), Message("assistant", "\nr"))))
        assert merged[0] not in row.input_ids

    def test_trailing_turns_are_context_for_nobody(self, chatml):
        row = chatml.encode(Sample("a", (*TALK, Message("user", "thanks"))))
        assert whole(chatml, row).endswith("ok<|im_end|>\n")

    def test_cut(self, chatml):
        sample = Sample("a", TALK)
        full = chatml.encode(sample)
        prompt = len(chatml.prompt_ids(TALK[:2]))
        cut = chatml.encode(sample, sequence_len=prompt + 2)
        assert cut.input_ids == full.input_ids[: prompt + 2]
        assert cut.labels == full.labels[: prompt + 2]
        assert f"the first {prompt} of its {len(full.input_ids)} tokens" in reasons(chatml, sample, sequence_len=prompt)


class TestMasks:
    def test_turns_have_their_own_word(self, chatml):
        turns = (*TALK[:2], Message("assistant", "one", train=False), TALK[3], TALK[4])
        assert trained(chatml, chatml.encode(Sample("a", turns))) == "ok<|im_end|>"

    def test_train_on_inputs(self, chatml):
        row = chatml.encode(Sample("a", (*TALK, Message("user", "thanks"))), train_on_inputs=True)
        text = whole(chatml, row)
        assert text.endswith("<|im_start|>user\nthanks<|im_end|>\n")
        assert trained(chatml, row) == text.replace("1}<|im_end|>\n", "1}<|im_end|>").replace(
            "ok<|im_end|>\n", "ok<|im_end|>"
        )

    def test_other_roles(self, chatml):
        row = chatml.encode(Sample("a", TALK[:3]), roles_to_train=["human", "gpt"])
        assert trained(chatml, row) == '<|im_start|>user\n\n\nNLQ: x<|im_end|>\n\n{"a": 1}<|im_end|>'
        only = chatml.encode(Sample("a", (*TALK, Message("user", "bye"))), roles_to_train=["user"])
        assert trained(chatml, only).endswith("<|im_start|>user\nbye<|im_end|>\n")
        assert "ok" not in trained(chatml, only)

    def test_a_user_turn_that_asks_to_be_trained(self, chatml):
        turns = (Message("user", "q", train=True), Message("assistant", "r", train=False))
        assert trained(chatml, chatml.encode(Sample("a", turns))) == "<|im_start|>user\nq<|im_end|>\n"

    @pytest.mark.parametrize(("ends", "count"), [("turn", 2), ("last", 1), ("all", 5)])
    def test_ends_of_turns(self, chatml, ends, count):
        row = chatml.encode(Sample("a", TALK), train_on_eos=ends)
        assert trained(chatml, row).count("<|im_end|>") == count

    def test_nothing_trained_is_an_error(self, chatml):
        turns = (Message("user", "q"), Message("assistant", "r", train=False))
        assert "no token of the row is trained" in reasons(chatml, Sample("a", turns))

    def test_a_stop_token_inside_a_reply_is_an_error(self, chatml):
        turns = (Message("user", "q"), Message("assistant", "one<|im_end|>two"))
        assert "turn 2 holds <|im_end|> in its text" in reasons(chatml, Sample("a", turns))

    def test_a_stop_token_inside_a_question_is_none(self, chatml):
        turns = (Message("user", "what is <|im_end|>?"), Message("assistant", "r"))
        assert trained(chatml, chatml.encode(Sample("a", turns))) == "r<|im_end|>"


class TestBos:
    def _renderer(self, folder, template, tokenizer, **config):
        model_folder(folder, tokenizer, template=template, bos_token="<s>", eos_token="</s>", **config)
        return Renderer.from_folder(folder)

    def _starts(self, renderer) -> int:
        row = renderer.encode(Sample("a", (Message("user", "q"), Message("assistant", "r"))))
        assert renderer.prompt_ids((Message("user", "q"),))[0] == row.input_ids[0]
        return row.input_ids.count(renderer.bos_id)

    TOKENS = ("<s>", "</s>")
    PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token if m.role == 'assistant' else '\n' }}{% endfor %}"

    def test_the_template_writes_it(self, tmp_path):
        assert self._starts(self._renderer(tmp_path, "{{ bos_token }}" + self.PLAIN, byte_level(self.TOKENS))) == 1

    def test_the_post_processor_would_add_it(self, tmp_path):
        tokenizer = with_bos(byte_level(self.TOKENS), "<s>")
        assert self._starts(self._renderer(tmp_path, self.PLAIN, tokenizer)) == 1

    def test_both_make_one(self, tmp_path):
        tokenizer = with_bos(byte_level(self.TOKENS), "<s>")
        assert (
            self._starts(self._renderer(tmp_path, "{{ bos_token }}" + self.PLAIN, tokenizer, add_bos_token=True)) == 1
        )

    def test_only_the_config_asks_for_it(self, tmp_path):
        assert self._starts(self._renderer(tmp_path, self.PLAIN, byte_level(self.TOKENS), add_bos_token=True)) == 1

    def test_the_config_refuses_it(self, tmp_path):
        tokenizer = with_bos(byte_level(self.TOKENS), "<s>")
        assert self._starts(self._renderer(tmp_path, self.PLAIN, tokenizer, add_bos_token=False)) == 0

    def test_nobody_asks_for_it(self, tmp_path):
        assert self._starts(self._renderer(tmp_path, self.PLAIN, byte_level(self.TOKENS))) == 0

    def test_a_template_that_writes_it_twice(self, tmp_path):
        assert (
            self._starts(
                self._renderer(tmp_path, "{{ bos_token }}{{ bos_token }}" + self.PLAIN, byte_level(self.TOKENS))
            )
            == 1
        )

    def test_a_bos_that_marks_roles_stays(self, chatml):
        row = chatml.encode(Sample("a", TALK))
        assert row.input_ids.count(chatml.bos_id) == len(TALK)
        assert row.input_ids[:2].count(chatml.bos_id) == 1


class TestStops:
    def test_the_turns_end_the_tokenizers_and_the_models(self, tmp_path):
        folder = model_folder(
            tmp_path, template=CHAT, eos_token="<|endoftext|>", generation={"eos_token_id": [2, 0, 7]}
        )
        assert Renderer.from_folder(folder).stop_ids == (2, 0, 7)

    def test_an_end_that_is_no_token_is_an_error_with_the_way_out(self, tmp_path):
        folder = model_folder(tmp_path, byte_level(["</s>"]), template=CHAT, eos_token="</s>")
        with pytest.raises(
            TemplateError, match=r"(?s)ends the assistant's turn in no special token.*eos_token.*chat_template: chatml"
        ):
            _ = Renderer.from_folder(folder).stop_ids

    @pytest.mark.parametrize("name", template_names())
    def test_templates_of_ours_end_in_eos_where_their_marker_is_no_token(self, tmp_path, name):
        folder = model_folder(tmp_path, byte_level(["<s>", "</s>"]), bos_token="<s>", eos_token="</s>")
        renderer = Renderer.from_folder(folder, template=name)
        row = renderer.encode(Sample("a", (Message("user", "q"), Message("assistant", '{"a": 1}'))))
        assert renderer.stop_ids == (renderer.tokenizer.special_id("eos_token"),)
        assert trained(renderer, row).strip() == '{"a": 1}</s>'

    def test_templates_of_ours_keep_their_marker_where_it_is_a_token(self, tmp_path):
        folder = model_folder(tmp_path, eos_token="<|endoftext|>")
        renderer = Renderer.from_folder(folder, template="chatml")
        assert renderer.stop_ids == (2, 0)
        assert trained(renderer, renderer.encode(Sample("a", TALK[:3]))) == '\n{"a": 1}<|im_end|>'

    def test_text_behind_the_stop_token_is_not_trained(self, tmp_path):
        closing = CHAT.replace("{% if add", "{% if not add_generation_prompt %}<|endoftext|>{% endif %}{% if add")
        folder = model_folder(tmp_path, template=closing, eos_token="<|endoftext|>")
        renderer = Renderer.from_folder(folder)
        row = renderer.encode(Sample("a", TALK))
        assert trained(renderer, row) == '\n{"a": 1}<|im_end|>ok<|im_end|>'
        assert whole(renderer, row).count("<|endoftext|>") == 1
        assert row.input_ids[: len(renderer.prompt_ids(TALK[:4]))] == renderer.prompt_ids(TALK[:4])


class TestStartsOfTexts:
    """Tokenizers that mark the start of a text must not do so at the start of a reply."""

    def test_ids_are_those_of_the_whole_text(self, llama):
        row = llama.encode(Sample("a", (Message("user", "What is new?"), Message("assistant", "Nothing much, really"))))
        text = "<s>[INST] What is new? [/INST] Nothing much, really</s>"
        assert list(row.input_ids) == llama.tokenizer.tokenizer.encode(text, add_special_tokens=False).ids
        assert whole(llama, row).replace("<s> ", "<s>") == text

    def test_a_reply_that_begins_with_a_letter_gets_no_space(self, tmp_path):
        folder = model_folder(
            tmp_path, with_bos(prepending(), "<s>"), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
        )
        renderer = Renderer.from_folder(folder, template="alpaca")
        row = renderer.encode(Sample("a", (Message("user", "Write."), Message("assistant", "Done."))))
        assert renderer.token_text(next(label for label in row.labels if label != -100)).startswith("D")
        assert row.input_ids[0] == renderer.bos_id
        assert row.input_ids.count(renderer.bos_id) == 1

    def test_leading_newlines_stay(self, llama):
        row = llama.encode(Sample("a", (Message("user", "q"), Message("assistant", "\n\nx"))))
        assert llama.decode([label for label in row.labels if label != -100]) == "\n\nx"


class TestTemplatesThatRewrite:
    THINKS = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
        "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )

    def test_only_what_follows_the_last_rewriting_is_trained_and_the_rest_counted(self, tmp_path):
        renderer = Renderer.from_folder(model_folder(tmp_path, template=self.THINKS, eos_token="<|im_end|>"))
        sample = Sample("a", TALK)
        row = renderer.encode(sample)
        assert trained(renderer, row) == "<think>\n\n</think>\n\nok<|im_end|>"
        assert row.input_ids[: len(renderer.prompt_ids(TALK[:4]))] == renderer.prompt_ids(TALK[:4])
        (tokens,) = renderer.tokens([sample], MaskRules())
        assert tokens.lost_turns == 1

    def test_a_prompt_that_is_written_otherwise_once_answered_stays_as_it_is_served(self, tmp_path):
        """Mistral's templates write a system turn only while the user's turn is the last."""
        template = (
            "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {% if loop.last and messages[0].role == 'system' %}"
            "{{ messages[0].content }} {% endif %}{{ m.content }}[/INST]{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}"
            "{% endif %}{% endfor %}"
        )
        folder = model_folder(
            tmp_path, byte_level(["<s>", "</s>"]), template=template, bos_token="<s>", eos_token="</s>"
        )
        renderer = Renderer.from_folder(folder)
        sample = Sample("a", TALK[:3])
        row = renderer.encode(sample)
        assert whole(renderer, row) == '<s>[INST] Be good. \n\nNLQ: x[/INST] \n{"a": 1}</s>'
        assert trained(renderer, row) == ' \n{"a": 1}</s>'
        (tokens,) = renderer.tokens([sample], MaskRules())
        assert (tokens.realigned, tokens.lost_turns) == (1, 0)
        assert renderer.tokens([Sample("b", TALK)], MaskRules())[0].lost_turns == 1

    def test_a_prompt_that_ends_in_a_thought(self, tmp_path):
        template = CHAT.replace("<|im_start|>assistant\n{% endif", "<|im_start|>assistant\n<think>\n{% endif")
        renderer = Renderer.from_folder(model_folder(tmp_path, template=template, eos_token="<|im_end|>"))
        row = renderer.encode(Sample("a", TALK[:3]))
        assert row.input_ids[: len(renderer.prompt_ids(TALK[:2]))] == renderer.prompt_ids(TALK[:2])
        assert trained(renderer, row) == '\n{"a": 1}<|im_end|>'

    def test_a_conversation_that_begins_with_the_assistant(self, chatml, tmp_path):
        turns = (Message("assistant", "Hello"), Message("user", "q"), Message("assistant", "r"))
        assert trained(chatml, chatml.encode(Sample("a", turns))) == "Hello<|im_end|>r<|im_end|>"
        first = "{% if messages[0].role == 'system' %}S{% endif %}" + CHAT
        renderer = Renderer.from_folder(model_folder(tmp_path, template=first, eos_token="<|im_end|>"))
        assert trained(renderer, renderer.encode(Sample("a", turns))) == "Hello<|im_end|>r<|im_end|>"


class TestTools:
    CALL = ToolCall("get_weather", {"city": "Rome"}, "abcdefghi")
    TOOL: ClassVar = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
    TURNS = (
        Message("user", "q"),
        Message("assistant", "", (CALL,)),
        Message("tool", "sunny", name="get_weather"),
        Message("assistant", "It is sunny."),
    )

    def test_calls_are_trained(self, tmp_path):
        renderer = Renderer.from_folder(model_folder(tmp_path, eos_token="<|im_end|>"), template="qwen")
        row = renderer.encode(Sample("a", self.TURNS, (self.TOOL,)))
        call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call><|im_end|>'
        assert trained(renderer, row) == call + "It is sunny.<|im_end|>"
        assert "<tool_response>\nsunny\n</tool_response>" in whole(renderer, row)

    def test_a_template_that_leaves_calls_or_tools_out_is_refused(self, chatml):
        said = reasons(chatml, Sample("a", self.TURNS))
        assert "leaves the tool calls of turn 2 out (get_weather)" in said
        said = reasons(chatml, Sample("a", (Message("user", "q"), Message("assistant", "r")), (self.TOOL,)))
        assert "does not show the tools to the model (get_weather)" in said
        with pytest.raises(TemplateError, match="does not show the tools"):
            chatml.prompt_ids((Message("user", "q"),), (self.TOOL,))


class TestFolders:
    def test_no_template_shows_how_to_name_one(self, tmp_path):
        with pytest.raises(TemplateError, match=r"(?s)has no chat template of its own.*chat_template: chatml.*alpaca"):
            Renderer.from_folder(model_folder(tmp_path))

    def test_an_unknown_name_shows_the_nearest(self, tmp_path):
        with pytest.raises(TemplateError, match=r"no chat template called 'alpca' \(did you mean 'alpaca'\?\)"):
            Renderer.from_folder(model_folder(tmp_path), template="alpca")

    def test_a_fallback(self, tmp_path):
        folder = model_folder(tmp_path, eos_token="<|im_end|>")
        assert Renderer.from_folder(folder, template="tokenizer_default_fallback_chatml").template.name == "chatml"
        model_folder(tmp_path, template=CHAT, eos_token="<|im_end|>")
        assert Renderer.from_folder(folder, template="tokenizer_default_fallback_chatml").template_text == CHAT

    @pytest.mark.parametrize("name", ["tokenizer_default", None])
    def test_the_template_may_stand_in_the_config(self, tmp_path, name):
        folder = model_folder(tmp_path, chat_template=CHAT, eos_token="<|im_end|>")
        assert Renderer.from_folder(folder, template=name).template_text == CHAT

    def test_named_templates_are_chosen_by_tools_and_read_back(self, tmp_path):
        named = [
            {"name": "default", "template": CHAT},
            {"name": "tool_use", "template": "{{ tools[0].function.name }}" + CHAT},
        ]
        folder = model_folder(tmp_path / "a", chat_template=named, eos_token="<|im_end|>")
        tool = ({"type": "function", "function": {"name": "f"}},)
        first = Renderer.from_folder(folder)
        again = Renderer.from_folder(folder, template=first.template_text)
        for renderer in (first, again):
            assert renderer.prompt_text(TALK[:2]).startswith("<|im_start|>")
            assert renderer.prompt_text(TALK[:2], tool).startswith("f<|im_start|>")
        assert first.fingerprint == again.fingerprint
        (folder / "tokenizer_config.json").write_text('{"eos_token": "<|im_end|>"}')
        (folder / "chat_template.jinja").write_text(CHAT)
        (folder / "additional_chat_templates").mkdir()
        (folder / "additional_chat_templates" / "tool_use.jinja").write_text("x{{ tools[0].function.name }}" + CHAT)
        assert Renderer.from_folder(folder).prompt_text(TALK[:2], tool).startswith("xf")

    def test_several_without_a_default(self, tmp_path):
        with pytest.raises(TemplateError, match=r"several chat templates \(rag\) and none is the default"):
            Renderer.from_folder(model_folder(tmp_path, chat_template=[{"name": "rag", "template": CHAT}]))

    def test_a_template_that_does_not_parse_shows_the_line(self, tmp_path):
        renderer = Renderer.from_folder(model_folder(tmp_path, eos_token="<|im_end|>"), template="ok\n{% if %}\n")
        with pytest.raises(TemplateError, match=r"(?s)does not parse.*line 2: .*\{% if %\}"):
            renderer.prompt_ids(TALK)

    def test_a_template_that_raises_names_row_and_message(self, tmp_path):
        strict = (
            "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHAT
        )
        renderer = Renderer.from_folder(model_folder(tmp_path, template=strict, eos_token="<|im_end|>"))
        assert "row a: the chat template (tokenizer_default) refused the conversation: System role" in reasons(
            renderer, Sample("a", TALK)
        )
        with pytest.raises(TemplateError, match="System role not supported"):
            renderer.prompt_ids(TALK[:2])
        with pytest.raises(TemplateError, match=r"row 2: .*System role"):
            renderer.prompts([(TALK[1:2], ()), (TALK[:2], ())])

    def test_no_tokenizer(self, tmp_path):
        renderer = Renderer.from_folder(tmp_path, template="chatml")
        with pytest.raises(ModelError, match=r"no tokenizer\.json"):
            renderer.prompt_ids(TALK[:2])
        (tmp_path / "tokenizer.json").write_text("{}")
        with pytest.raises(ModelError, match="cannot be read"):
            renderer.prompt_ids(TALK[:2])

    def test_special_tokens_of_the_config(self, tmp_path):
        folder = model_folder(tmp_path, byte_level(["<a>", "<b>"]), eos_token="<a>")
        renderer = Renderer.from_folder(
            folder, template="completion", special_tokens={"eos_token": "<b>", "pad_token": None}
        )
        assert renderer.stop_ids == (1,)
        assert renderer.fingerprint != Renderer.from_folder(folder, template="completion").fingerprint
        wrong = Renderer.from_folder(
            folder, template="completion", special_tokens={"eos_token": "<c>", "bos_token": "<d>"}
        )
        with pytest.raises(
            ModelError, match=r"(?s)eos_token: '<c>' is not in the vocabulary.*bos_token: '<d>'.*embedding"
        ):
            _ = wrong.stop_ids

    def test_a_special_token_that_is_an_ordinary_one_in_the_vocabulary(self, tmp_path):
        folder = model_folder(tmp_path, byte_level(["<a>"]), eos_token="<a>")
        whole_word = Renderer.from_folder(folder, template="completion", special_tokens={"eos_token": "Z"})
        row = whole_word.encode(Sample("a", (Message("user", "q"), Message("assistant", "r"))))
        assert row.input_ids[-1:] == whole_word.stop_ids

    def test_tokens_that_only_the_config_adds(self, tmp_path):
        decoder = {"9000": {"content": "<late>", "special": True}}
        folder = model_folder(tmp_path, byte_level(["</s>"]), eos_token="</s>", added_tokens_decoder=decoder)
        assert len(Renderer.from_folder(folder, template="completion").tokenizer.tokenizer.encode("<late>").ids) == 1

    def test_padding_and_sizes(self, chatml, tmp_path):
        assert chatml.pad_id in chatml.stop_ids
        assert chatml.vocab_size == chatml.tokenizer.tokenizer.get_vocab_size()
        folder = model_folder(tmp_path, pad_token="<|endoftext|>", eos_token="<|im_end|>", template=CHAT)
        assert Renderer.from_folder(folder).pad_id == 0

    def test_an_empty_question_is_refused(self, chatml):
        with pytest.raises(TemplateError, match="nothing is asked"):
            chatml.prompt_ids(())

    def test_hostile_templates_end(self, tmp_path):
        folder = model_folder(tmp_path, eos_token="<|im_end|>")
        for hostile in (
            "{{ 'a' * 10**12 }}",
            "{{ 2 ** (10**9) }}",
            "{% for i in range(99999) %}{% for j in range(99999) %}{{ 'x' * 1000 }}{% endfor %}{% endfor %}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            "{{ ''.__class__.__base__.__subclasses__() }}",
            "{{ range(10**9) | list }}",
        ):
            with pytest.raises(TemplateError, match="refused the conversation"):
                Renderer.from_folder(folder, template=hostile + CHAT).prompt_ids(TALK)


ALPACA = "Below is an instruction that describes a task"


class TestNamedTemplates:
    @pytest.fixture
    def alpaca(self, tmp_path):
        return Renderer.from_folder(model_folder(tmp_path, byte_level(["</s>"]), eos_token="</s>"), template="alpaca")

    def test_alpaca_without_input(self, alpaca):
        assert alpaca.prompt_text((Message("user", "Add."),)) == (
            f"{ALPACA}. Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Response:\n"
        )

    def test_alpaca_with_input(self, alpaca):
        assert alpaca.prompt_text((Message("user", "Add.\n\n### Input:\n1 2"),)) == (
            f"{ALPACA}, paired with an input that provides further context. Write a response that appropriately completes the"
            " request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n"
        )

    def test_alpaca_with_a_system_turn_and_several_replies(self, alpaca):
        row = alpaca.encode(Sample("a", TALK))
        assert whole(alpaca, row) == (
            'Be good.\n\n### Instruction:\n\n\nNLQ: x\n\n### Response:\n\n{"a": 1}</s>\n\n### Instruction:\nmore\n\n### Response:\nok</s>'
        )
        assert trained(alpaca, row) == '\n{"a": 1}</s>ok</s>'

    def test_completion_is_verbatim(self, tmp_path):
        folder = model_folder(tmp_path, byte_level(["</s>"]), eos_token="</s>")
        renderer = Renderer.from_folder(folder, template="completion")
        row = renderer.encode(Sample("a", (Message("user", " 2+2="), Message("assistant", " 4\n"))))
        assert whole(renderer, row) == " 2+2= 4\n</s>"
        assert trained(renderer, row) == " 4\n</s>"
        once = renderer.encode(Sample("a", (Message("assistant", "Once upon</s>"),)))
        assert whole(renderer, once) == "Once upon</s>"

    @pytest.mark.parametrize("name", ["mistral", "gemma"])
    def test_templates_without_a_system_role_put_it_before_the_question(self, tmp_path, name):
        folder = model_folder(tmp_path, byte_level(["<s>", "</s>"]), bos_token="<s>", eos_token="</s>")
        assert "Be good.\n\n\n\nNLQ: x" in Renderer.from_folder(folder, template=name).prompt_text(TALK[:2])

    @pytest.mark.parametrize("name", template_names())
    def test_every_one_keeps_the_invariants(self, tmp_path, name):
        folder = model_folder(tmp_path, byte_level(["<s>", *CHATML, "</s>"]), bos_token="<s>", eos_token="</s>")
        check_invariants(Renderer.from_folder(folder, template=name), Sample("a", TALK))


def check_invariants(renderer: Renderer, sample: Sample) -> None:
    """What must hold of every row, whatever template and tokenizer."""
    row = renderer.encode(sample)
    ids, labels = row.input_ids, row.labels
    last = max(n for n, message in enumerate(sample.messages) if message.role == "assistant")
    prompt = renderer.prompt_ids(sample.messages[:last], sample.tools)
    assert ids[: len(prompt)] == prompt
    assert labels[len(prompt)] != -100
    ends = [n for n, label in enumerate(labels) if label != -100 and (n + 1 == len(labels) or labels[n + 1] == -100)]
    assert all(ids[n] in renderer.stop_ids for n in ends)
    assert [n for n, label in enumerate(labels) if label in renderer.stop_ids] == ends
    assert ids[:2].count(renderer.bos_id) <= 1


_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
_turn = st.tuples(_text, _text.filter(lambda text: text.strip()))


@settings(max_examples=150)
@given(system=st.none() | _text, turns=st.lists(_turn, min_size=1, max_size=3))
def test_invariants_hold_for_any_conversation(chatml, llama, system, turns):
    messages = [Message("system", system)] if system is not None else []
    for asked, answered in turns:
        messages += [Message("user", asked), Message("assistant", answered)]
    for renderer, said in ((chatml, messages), (llama, messages[system is not None :])):
        row = renderer.encode(Sample("a", tuple(said)))
        check_invariants(renderer, Sample("a", tuple(said)))
        for n, message in enumerate(said):
            if message.role == "assistant":
                prompt = renderer.prompt_ids(said[:n])
                assert row.input_ids[: len(prompt)] == prompt
    replies = "".join(answered + "<|im_end|>" for _, answered in turns)
    row = chatml.encode(Sample("a", tuple(messages)))
    assert chatml.decode([label for label in row.labels if label != -100], keep_special=True) == replies
    assert whole(chatml, row) == "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in messages)


MARKER = r"<\|[^|<>]+\|>|<｜[^｜]+｜>|<[a-z_]+>|\[/?[A-Z_]+\]"


@pytest.mark.parametrize("name", real_templates())
def test_templates_of_real_models_keep_the_invariants_or_say_why_not(tmp_path, name):
    text = real_templates()[name]
    markers = sorted(set(re.findall(MARKER, text)))
    folder = model_folder(
        tmp_path, byte_level(["<s>", "</s>", *markers]), template=text, bos_token="<s>", eos_token="</s>"
    )
    renderer = Renderer.from_folder(folder)
    for messages in (TALK[1:3], TALK[:3], TALK[1:], TALK):
        with contextlib.suppress(TemplateError, DataError):
            check_invariants(renderer, Sample("a", messages))


def test_most_templates_of_real_models_can_be_trained_with(tmp_path):
    """A renderer that refused everything would keep all invariants."""
    trainable = []
    for name, text in real_templates().items():
        markers = sorted(set(re.findall(MARKER, text)))
        folder = tmp_path / name
        model_folder(folder, byte_level(["<s>", "</s>", *markers]), template=text, bos_token="<s>", eos_token="</s>")
        with contextlib.suppress(TemplateError, DataError):
            Renderer.from_folder(folder).encode(Sample("a", TALK[1:3]))
            trainable.append(name)
    assert not real_templates() or len(trainable) >= len(real_templates()) / 2


def test_many_rows_are_the_same_as_one_by_one(chatml):
    samples = [
        Sample(str(n), (*TALK[:1], Message("user", f"q{n}"), Message("assistant", "r" * n))) for n in range(1, 40)
    ]
    broken = Sample("x", (Message("user", "q"), Message("assistant", "a<|im_end|>b")))
    rows = chatml.tokens([*samples, broken], MaskRules())
    assert isinstance(rows[-1], RowError)
    assert [row.encoded(sample) for row, sample in zip(rows, samples, strict=False)] == [
        chatml.encode(s) for s in samples
    ]
    prompts = chatml.prompts([(sample.messages[:2], ()) for sample in samples])
    assert prompts == [chatml.prompt_ids(sample.messages[:2]) for sample in samples]


@settings(max_examples=60)
@given(system=_text, asked=_text)
def test_prompt_ids_are_those_of_transformers(chatml, llama, system, asked):
    """Held against the library itself, which nothing in the parent process may import."""
    transformers = pytest.importorskip("transformers")
    for renderer, turns in (
        (chatml, [Message("system", system), Message("user", asked)]),
        (llama, [Message("user", asked)]),
    ):
        theirs = transformers.PreTrainedTokenizerFast(
            tokenizer_object=renderer.tokenizer.tokenizer, **renderer.tokenizer.special_tokens
        )
        ids = theirs.apply_chat_template(
            [{"role": turn.role, "content": turn.content} for turn in turns],
            chat_template=renderer.template_text,
            add_generation_prompt=True,
            return_dict=False,
        )
        assert renderer.prompt_ids(turns) == tuple(ids)
