"""Keys that contradict each other."""

from __future__ import annotations

import pytest


def config(adapter: str, extra: str) -> str:
    return f"base_model: org/model\nadapter: {adapter}\ndatasets:\n  - path: rows.jsonl\n    type: alpaca\n{extra}"


@pytest.mark.parametrize(
    ("adapter", "extra", "said", "line"),
    [
        ("lora", "load_in_4bit: true\n", "load_in_4bit: true needs adapter: qlora", 6),
        ("qlora", "load_in_4bit: false\n", "load_in_4bit: false contradicts adapter: qlora", 6),
        ("qlora", "load_in_8bit: true\n", "load_in_8bit: true needs adapter: lora", 6),
        (
            "qlora",
            "load_in_4bit: true\nload_in_8bit: true\n",
            "load_in_8bit cannot be set together with load_in_4bit",
            7,
        ),
        ("lora", "bnb_config_kwargs: {bnb_4bit_quant_type: fp4}\n", "nothing is quantised", 6),
        ("lora", "bf16: true\nfp16: true\n", "fp16 cannot be set together with bf16", 7),
        ("lora", "val_set_size: 0.1\neval_steps: 1\nevals_per_epoch: 1\n", "evals_per_epoch cannot be set together", 8),
        ("lora", "save_steps: 1\nsaves_per_epoch: 1\n", "saves_per_epoch cannot be set together with save_steps", 7),
        ("lora", "warmup_steps: 1\nwarmup_ratio: 0.1\n", "warmup_ratio cannot be set together with warmup_steps", 7),
        ("lora", "early_stopping_patience: 2\n", "early_stopping_patience needs a validation set", 6),
        ("lora", "early_stopping_patience: 2\nval_set_size: 0\n", "early_stopping_patience needs a validation set", 6),
        ("lora", "eval_steps: 5\n", "eval_steps needs a validation set", 6),
        ("lora", "evals_per_epoch: 5\n", "evals_per_epoch needs a validation set", 6),
        ("lora", "lora_target_linear: false\n", "lora_target_linear: false leaves nothing to train", 6),
        ("lora", "lora_target_linear: false\nlora_target_modules: []\n", "leaves nothing to train", 6),
        ("lora", "loss_watchdog_patience: 3\n", "loss_watchdog_patience needs loss_watchdog_threshold", 6),
        (
            "lora",
            "lr_scheduler: linear\ncosine_min_lr_ratio: 0.1\n",
            "cosine_min_lr_ratio needs lr_scheduler: cosine",
            7,
        ),
        ("lora", "lr_scheduler: cosine_with_min_lr\n", "cosine_with_min_lr needs cosine_min_lr_ratio", 6),
        ("lora", "chat_template: jinja\n", "chat_template: jinja needs chat_template_jinja", 6),
        ("lora", "chat_template: chatml\nchat_template_jinja: '{{ x }}'\n", "contradicts chat_template: chatml", 7),
        ("lora", "tokenizer_config: other/model\n", "a tokenizer of another model is not supported", 6),
        ("lora", "decode: {beams: 2, temperature: 0.5}\n", "beam search does not sample", 6),
        ("lora", "decode: {grammar: {regex: a, choice: [b]}}\n", "exactly one of json, regex, choice and lark", 6),
        ("lora", "decode: {grammar: {}}\n", "exactly one of json, regex, choice and lark", 6),
    ],
)
def test_contradictions(problems, adapter, extra, said, line):
    (message,) = problems(text=config(adapter, extra))
    assert said in message
    assert message.startswith(f"run.yml:{line}: ")


@pytest.mark.parametrize(
    ("adapter", "extra"),
    [
        ("lora", "load_in_8bit: true\nbnb_config_kwargs: {llm_int8_threshold: 5.0}\n"),
        ("qlora", "load_in_4bit: true\nload_in_8bit: false\nbnb_config_kwargs: {bnb_4bit_quant_type: fp4}\n"),
        ("lora", "bf16: auto\nfp16: true\n"),
        ("lora", "bf16: false\nfp16: true\n"),
        ("lora", "val_set_size: 3\nearly_stopping_patience: 2\neval_steps: 2\n"),
        ("lora", "lora_target_linear: false\nlora_target_modules: [q_proj]\n"),
        ("lora", "cosine_min_lr_ratio: 0.1\n"),
        ("lora", "lr_scheduler: cosine_with_min_lr\ncosine_min_lr_ratio: 0.1\n"),
        ("lora", "chat_template: jinja\nchat_template_jinja: '{{ x }}'\n"),
        ("lora", "chat_template_jinja: '{{ x }}'\n"),
        ("lora", "tokenizer_config: org/model\n"),
        ("lora", "warmup_steps: 0\nwarmup_ratio:\n"),
    ],
)
def test_what_looks_like_a_contradiction_and_is_none(load, adapter, extra):
    loaded = load(text=config(adapter, extra))
    assert loaded.adapter == adapter
    assert loaded.model_fields_set >= {"base_model", "adapter", "datasets"}


def test_two_templates_for_the_same_rows(problems):
    head = "base_model: m\nadapter: lora\ndatasets:\n  - path: x.jsonl\n"
    text = head + "    conversation: alpaca\n    chat_template: chatml\n"
    assert problems(text=text) == [
        "run.yml:6: chat_template and conversation name two templates for the same rows; remove one of them"
    ]


def test_either_name_of_a_row_template(load):
    for name in ("conversation", "chat_template"):
        text = f"base_model: m\nadapter: lora\ndatasets: [{{path: x.jsonl, {name}: alpaca}}]\n"
        assert load(text=text).datasets[0].template == "alpaca"


def test_contradictions_are_reported_with_the_other_problems(problems):
    found = problems("lora_r: 0\nbf16: true\nfp16: true\nlora_rr: 1\n")
    assert len(found) == 3


def test_no_contradiction_is_made_up_from_a_wrong_value(problems):
    found = problems("val_set_size: x\nearly_stopping_patience: 2\n")
    assert found == ["run.yml:6: val_set_size: 'x' is text; it must be a number (without quotes)"]
