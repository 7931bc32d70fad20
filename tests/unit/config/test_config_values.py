"""Wrong keys and wrong values: what is said, and at which line."""

from __future__ import annotations

import pytest

from harness.config import RunConfig
from harness.config.fields import fields_of, traits_of
from harness.config.unknown import MEANT
from harness.config.unsupported import UNSUPPORTED

LINE = 6
"""The first line after the smallest configuration."""


def test_defaults(load):
    config = load()
    assert (config.lora_r, config.lora_alpha, config.lora_dropout, config.lora_target_linear) == (16, 32, 0.0, True)
    assert (config.learning_rate, config.lr_scheduler, config.optimizer) == (2e-4, "cosine", "adamw_torch_fused")
    assert (config.adam_beta1, config.adam_beta2, config.adam_epsilon) == (0.9, 0.999, 1e-8)
    assert (config.seed, config.data_seed, config.bf16, config.max_grad_norm) == (42, 42, "auto", 1.0)
    assert (config.micro_batch_size, config.eval_batch_size, config.val_set_size) == (1, 1, 0.0)
    assert (config.load_in_4bit, config.load_in_8bit, config.save_safetensors) == (False, False, True)
    assert (config.serve.engine, config.serve.max_concurrency, config.serve.enforce_eager) == ("auto", 64, None)
    assert (config.decode.mode, config.decode.max_tokens, config.decode.temperature) == ("greedy", 256, 0.0)
    assert config.notes == ()


@pytest.mark.parametrize(
    ("extra", "name", "value"),
    [
        ("lora_r: 8\n", "lora_alpha", 16),
        ("lora_r: 8\nlora_alpha: 5\n", "lora_alpha", 5),
        ("lora_target_modules: [q_proj]\n", "lora_target_linear", False),
        ("lora_target_modules: []\n", "lora_target_linear", True),
        ("lora_target_modules: [q_proj]\nlora_target_linear: true\n", "lora_target_linear", True),
        ("micro_batch_size: 4\n", "eval_batch_size", 4),
        ("seed: 7\n", "data_seed", 7),
        ("seed: 7\ndata_seed: 8\n", "data_seed", 8),
        ("learning_rate: 1e-3\n", "learning_rate", 1e-3),
        ("learning_rate: 1\n", "learning_rate", 1.0),
        ("bf16: auto\n", "bf16", "auto"),
        ("bf16: true\n", "bf16", True),
        ("val_set_size: 20\n", "val_set_size", 20),
        ("roles_to_train: [assistant, tool]\n", "roles_to_train", ("assistant", "tool")),
        ("num_epochs: 3\n", "num_epochs", 3.0),
    ],
)
def test_values(load, extra, name, value):
    assert getattr(load(extra), name) == value


def test_qlora_implies_4_bit(load):
    config = load(text="base_model: m\nadapter: qlora\ndatasets: [{path: x.jsonl, type: alpaca}]\n")
    assert config.load_in_4bit is True


@pytest.mark.parametrize("name", ["lora_r", "learning_rate", "seed", "optimizer", "wandb_project", "lora_model_dir"])
def test_null_and_empty_are_unset(load, name):
    plain = load()
    for text in ("", " null", " ~", ' ""'):
        config = load(f"{name}:{text}\n")
        assert config.resolved() == plain.resolved()
        assert config.notes == ()


def test_null_inside_sections_is_unset(load):
    config = load("serve:\n  dtype:\ndecode:\n  max_tokens:\nspecial_tokens:\n  pad_token:\n")
    assert config.resolved() == load().resolved()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("lora_rr: 8\n", "unknown key 'lora_rr'; did you mean 'lora_r'?"),
        ("lora-alpha: 8\n", "unknown key 'lora-alpha'; did you mean 'lora_alpha'?"),
        ("Lora_R: 8\n", "unknown key 'Lora_R'; did you mean 'lora_r'?"),
        ("learnig_rate: 1\n", "unknown key 'learnig_rate'; did you mean 'learning_rate'?"),
        ("learnig_rate:\n", "unknown key 'learnig_rate'; did you mean 'learning_rate'?"),
        ("zzzzzz: 1\n", "unknown key 'zzzzzz'; no key here is like it"),
        ("max_tokens: 5\n", "unknown key 'max_tokens'; 'max_tokens' belongs under decode"),
        (
            "bnb_4bit_quant_type: nf4\n",
            "unknown key 'bnb_4bit_quant_type'; 'bnb_4bit_quant_type' belongs under bnb_config_kwargs",
        ),
        ("field_messages: x\n", "unknown key 'field_messages'; 'field_messages' belongs into an entry of datasets"),
        ("serve: {engin: vllm}\n", "unknown key 'engin' in serve; did you mean 'engine'?"),
        ("serve: {lora_r: 4}\n", "unknown key 'lora_r' in serve; 'lora_r' belongs at the top level"),
        ("decode: {grammar: {jsn: x}}\n", "unknown key 'jsn' in decode.grammar; did you mean 'json'?"),
        ("special_tokens: {eos: x}\n", "unknown key 'eos' in special_tokens; did you mean 'eos_token'?"),
    ],
)
def test_unknown_keys(problems, extra, message):
    assert problems(extra) == [f"run.yml:{LINE}: {message}"]


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("r", "lora_r"),
        ("rank", "lora_r"),
        ("lora_rank", "lora_r"),
        ("alpha", "lora_alpha"),
        ("dropout", "lora_dropout"),
        ("target_modules", "lora_target_modules"),
        ("model", "base_model"),
        ("lr", "learning_rate"),
        ("epochs", "num_epochs"),
        ("max_seq_len", "sequence_len"),
        ("max_length", "sequence_len"),
        ("batchsize", "micro_batch_size"),
        ("per_device_train_batch_size", "micro_batch_size"),
        ("grad_accum", "gradient_accumulation_steps"),
    ],
)
def test_names_that_other_trainers_use_lead_to_the_key(problems, other, name):
    assert problems(f"{other}: 1\n") == [f"run.yml:{LINE}: unknown key {other!r}; did you mean {name!r}?"]


def test_every_other_name_leads_to_a_key_that_is_used():
    usable = {name for name, field in fields_of(RunConfig).items() if not traits_of(field).unused}
    assert set(MEANT.values()) <= usable
    assert not set(MEANT) & {*fields_of(RunConfig), *UNSUPPORTED[""]}


@pytest.mark.parametrize("extra", ["local_rnak", "sample_pack", "Sample-Packing", "rpo_alpah", "world_sise", "gate"])
def test_a_key_of_no_use_is_never_suggested(problems, extra):
    (message,) = problems(f"{extra}: 1\n")
    assert "did you mean" not in message


def test_a_misspelt_unsupported_key_is_said_to_be_unsupported(problems):
    (message,) = problems("Sample-Packing: true\n")
    assert "unknown key 'Sample-Packing'; 'sample_packing' is not supported: packing several rows" in message


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("lora_r: 0\n", "lora_r: 0 is not allowed; it must be greater than 0"),
        ("lora_r: -3\n", "lora_r: -3 is not allowed; it must be greater than 0"),
        ("seed: 4294967296\n", "seed: 4294967296 is not allowed; it must be less than 4294967296"),
        ("lora_r: true\n", "lora_r: true is true or false; it must be a whole number"),
        ("lora_r: 1.5\n", "lora_r: 1.5 is a number; it must be a whole number"),
        ("lora_r: '8'\n", "lora_r: '8' is text; it must be a whole number (without quotes)"),
        ("lora_r: [8]\n", "lora_r: [8] is a list; it must be a whole number"),
        ("lora_dropout: 1\n", "lora_dropout: 1 is not allowed; it must be less than 1"),
        ("learning_rate: .inf\n", "learning_rate: inf is a number; it must be a finite number"),
        ("learning_rate: '2e-4'\n", "learning_rate: '2e-4' is text; it must be a number (without quotes)"),
        ("adam_beta2: -0.1\n", "adam_beta2: -0.1 is not allowed; it must be at least 0"),
        ("cosine_min_lr_ratio: 2\n", "cosine_min_lr_ratio: 2 is not allowed; it must be at most 1"),
        ("gradient_checkpointing: 1\n", "gradient_checkpointing: 1 is a number; it must be true or false"),
        ("bf16: maybe\n", "bf16: 'maybe' is not allowed; it must be true, false or auto"),
        ("bf16: 1\n", "bf16: 1 is not allowed; it must be true, false or auto"),
        ("chat_template: 5\n", "chat_template: 5 is a number; it must be text (put quotes around it)"),
        ("roles_to_train: assistant\n", "roles_to_train: 'assistant' is text; it must be a list: [assistant]"),
        ("roles_to_train: []\n", "roles_to_train is empty; give at least one"),
        ("roles_to_train: [a, 5]\n", "roles_to_train[1]: 5 is a number; it must be text (put quotes around it)"),
        (
            "val_set_size: 1.5\n",
            "val_set_size: 1.5 is neither a share of the rows (below 1) nor a whole number of rows",
        ),
        ("val_set_size: -1\n", "val_set_size: -1 is not allowed; it must be at least 0"),
        (
            "save_safetensors: false\n",
            "save_safetensors: false is not allowed; it must be true (adapters are always saved as safetensors)",
        ),
        ("serve: vllm\n", "serve: 'vllm' is text; it must be keys and values"),
        (
            "serve: {dtype: float31}\n",
            "serve.dtype: 'float31' is not allowed; did you mean float32? allowed: auto, bfloat16, float16, float32",
        ),
        ("decode: {top_p: 0}\n", "decode.top_p: 0 is not allowed; it must be greater than 0"),
        (
            "lr_scheduler: cosin\n",
            "lr_scheduler: 'cosin' is not allowed; did you mean cosine? allowed: cosine, cosine_with_min_lr, linear, "
            "polynomial, inverse_sqrt, constant, constant_with_warmup",
        ),
    ],
)
def test_wrong_values(problems, extra, message):
    assert problems(extra) == [f"run.yml:{LINE}: {message}"]


def test_wrong_optimizer_names_all(problems):
    (message,) = problems("optimizer: adam_torch\n")
    assert "did you mean adamw_torch?" in message
    assert "paged_adamw_8bit" in message


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{type: alpaca}", "datasets[0].path is missing: the rows"),
        ("{path: '', type: alpaca}", "datasets[0].path is missing: the rows"),
        (
            "{path: x.jsonl, type: sharegtp}",
            "datasets[0].type: 'sharegtp' is not a row format; did you mean sharegpt? allowed: "
            "sharegpt, chat_template, alpaca, prompt_completion, completion, input_output, "
            "tool_calls, module:function or file.py:function",
        ),
        (
            "{path: x.jsonl, type: {field_output: out}}",
            "datasets[0].type: {'field_output': 'out'} is keys and values; it must be text",
        ),
        (
            "{path: x.jsonl, split: 'train[:'}",
            "datasets[0].split: 'train[:' is not a split; write `train`, `train[:120]`, `[25%:]` or `[100:200]`",
        ),
        (
            "{path: x.jsonl, split: [a]}",
            "datasets[0].split: ['a'] was read as a YAML list; put quotes around a split that starts with a "
            "bracket: '[:120]'",
        ),
        (
            "{path: x.jsonl, ds_type: jsonl}",
            "datasets[0].ds_type: 'jsonl' is not allowed; did you mean json? allowed: json, csv, parquet, arrow, text",
        ),
        (
            "{path: x.jsonl, data_files: 5}",
            "datasets[0].data_files: 5 is not allowed; it must be a file or a list of files",
        ),
        (
            "{path: x.jsonl, data_files: [5]}",
            "datasets[0].data_files: [5] is not allowed; it must be a file or a list of files",
        ),
        (
            "{path: x.jsonl, roles: {assistant: gpt}}",
            "datasets[0].roles.assistant: 'gpt' is text; it must be a list: [gpt]",
        ),
        (
            "{path: x.jsonl, train_on_eos: non}",
            "datasets[0].train_on_eos: 'non' is not allowed; allowed: turn, all, last",
        ),
        ("{path: x.jsonl, typ: alpaca}", "unknown key 'typ' in datasets[0]; did you mean 'type'?"),
        ("{path: x.jsonl, shards: 4}", "datasets[0].shards is not supported: use split to take a part of the rows"),
        (
            "{path: x.jsonl, trust_remote_code: true}",
            "datasets[0].trust_remote_code is not supported: code that comes with a data set is never run",
        ),
        ("x.jsonl", "datasets[0]: 'x.jsonl' is text; it must be keys and values"),
    ],
)
def test_wrong_datasets(problems, entry, message):
    assert problems(text=f"base_model: m\nadapter: lora\ndatasets:\n  - {entry}\n") == [f"run.yml:4: {message}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "datasets: {path: x.jsonl}",
            "datasets: {'path': 'x.jsonl'} is keys and values; it must be a list (start each entry with a dash)",
        ),
        ("datasets: []", "datasets is empty; give at least one"),
        ("datasets: x.jsonl", "datasets: 'x.jsonl' is text; it must be a list: [x.jsonl]"),
    ],
)
def test_datasets_must_be_a_list(problems, text, message):
    assert problems(text=f"base_model: m\nadapter: lora\n{text}\n") == [f"run.yml:3: {message}"]


@pytest.mark.parametrize(
    "split",
    ["train", "train[:120]", "[:120]", "[25%:]", "train[10%:20%]", "train[-50:]", "train[:5]+test[5:]", "a.b-c_d"],
)
def test_splits(load, split):
    text = f"base_model: m\nadapter: lora\ndatasets: [{{path: x.jsonl, split: '{split}'}}]\n"
    assert load(text=text).datasets[0].split == split


def test_missing_keys_say_what_they_are(problems):
    assert problems(text="lora_r: 4\n") == [
        "run.yml: base_model is missing: the model to start from",
        "run.yml: datasets is missing: where the training rows come from",
        "run.yml: adapter is missing: lora or qlora (training all weights is not supported)",
    ]


def test_a_null_adapter_is_not_taken_for_lora(problems):
    # In axolotl no adapter means that all weights are trained: never fall back silently.
    (message,) = problems(text="base_model: m\ndatasets: [{path: x.jsonl}]\nadapter:\n")
    assert "adapter is missing" in message


def test_all_problems_come_together_in_the_order_of_lines(problems):
    found = problems(
        "lora_r: 0\nlerning_rate: 1\nfsdp: [full]\nwarmup_steps: 3\nwarmup_ratio: 0.1\nserve:\n  dtype: f\n"
    )
    assert [problem.split(": ")[0] for problem in found] == [f"run.yml:{line}" for line in (6, 7, 8, 10, 12)]


def test_keys_that_follow_from_a_wrong_one_are_not_reported(problems):
    assert len(problems("lora_r: x\nmicro_batch_size: x\nseed: x\nlora_target_modules: x\n")) == 4


@pytest.mark.parametrize("section", sorted(UNSUPPORTED))
def test_unsupported_keys_are_errors_only_when_they_ask_for_something(load, problems, section):
    entry = "base_model: m\nadapter: lora\ndatasets:\n  - path: x.jsonl\n"
    prefix = {"": "", "datasets": "    ", "special_tokens": "  "}[section]
    head = entry + ("special_tokens:\n" if section == "special_tokens" else "")
    for value in ("", " false", " []", " {}", ' ""'):
        load(text=head + "".join(f"{prefix}{name}:{value}\n" for name in UNSUPPORTED[section]))
    found = problems(text=head + "".join(f"{prefix}{name}: 7\n" for name in UNSUPPORTED[section]))
    assert len(found) == len(UNSUPPORTED[section])
    assert all(" is not supported: " in problem for problem in found)


@pytest.mark.parametrize(
    "extra",
    [
        "shuffle_merged_datasets: true\n",
        "num_processes: 1\n",
        "save_strategy: steps\n",
        "eval_strategy: no\n",
        "remove_unused_columns: true\n",
    ],
)
def test_unsupported_keys_at_their_only_value(load, extra):
    assert load(extra).resolved() == load().resolved()


@pytest.mark.parametrize(
    "extra", ["num_processes: 2\n", "save_strategy: epoch\n", "sample_packing: true\n", "fp8: true\n"]
)
def test_unsupported_keys_at_another_value(problems, extra):
    (message,) = problems(extra)
    assert "is not supported" in message


@pytest.mark.parametrize("section", ["judge", "gates", "curate", "sweep"])
def test_sections_to_come(problems, section):
    (message,) = problems(f"{section}: {{a: 1}}\n")
    assert message == f"run.yml:6: {section} is not supported: this section is not available yet; remove it"


def test_long_values_are_shortened(problems):
    (message,) = problems(f"lora_r: {'x' * 5000}\n")
    assert len(message) < 300
