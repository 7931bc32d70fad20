"""What a key changes, the resolved copy, and that nothing can be changed afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from harness.config import RunConfig, config_from, load_config

EFFECTS = ("weights", "data", "generation")
ROOT = Path(__file__).parents[3]
FILES = [ROOT / "tests" / "data" / "axolotl_qlora.yml", *sorted((ROOT / "configs").glob("*.yml"))]


def fingerprint(config: RunConfig) -> dict[str, str]:
    return {effect: json.dumps(config.affecting(effect), sort_keys=True) for effect in EFFECTS}


def changed(before: RunConfig, after: RunConfig) -> set[str]:
    old, new = fingerprint(before), fingerprint(after)
    return {effect for effect in EFFECTS if old[effect] != new[effect]}


@pytest.mark.parametrize(
    ("extra", "effects"),
    [
        ("# a comment\n", set()),
        ("lora_r: 16\n", set()),
        ("lora_alpha: 32\n", set()),
        ("lora_r: 8\nlora_alpha: 32\n", {"weights"}),
        ("learning_rate: 0.00021\n", {"weights"}),
        ("seed: 1\n", {"weights", "data"}),
        ("seed: 1\ndata_seed: 42\n", {"weights"}),
        ("callbacks: [a:B]\n", {"weights"}),
        ("sequence_len: 99\n", {"data"}),
        ("train_on_inputs: true\n", {"data"}),
        ("roles_to_train: [user]\n", {"data"}),
        ("val_set_size: 0.1\n", {"data"}),
        ("val_set_size: 0.1\nevals_per_epoch: 2\n", {"data"}),
        ("chat_template: chatml\n", {"data", "generation"}),
        ("special_tokens: {pad_token: x}\n", {"data", "generation"}),
        ("decode: {max_tokens: 9}\n", {"generation"}),
        ("decode: {grammar: {regex: a}}\n", {"generation"}),
        ("serve: {dtype: float32}\n", {"generation"}),
        ("serve: {max_concurrency: 2, start_timeout: 9, kv_cache_gib: 1}\n", set()),
        ("output_dir: x\nlogging_steps: 5\nsave_steps: 3\nsave_total_limit: 1\n", set()),
        ("loss_watchdog_threshold: 5\nloss_watchdog_patience: 2\n", set()),
        ("wandb_project: x\nhub_model_id: y\nstrict: true\ndebug: true\n", set()),
        ("dataset_prepared_path: x\n", set()),
        ("lora_model_dir: x\n", set()),
    ],
)
def test_effects(load, extra, effects):
    assert changed(load(), load(extra)) == effects


def test_how_often_the_loss_is_measured_counts_only_with_early_stopping(load):
    base = "val_set_size: 0.1\nearly_stopping_patience: 2\n"
    assert changed(load(base), load(base + "evals_per_epoch: 4\n")) == {"weights"}
    assert changed(load(base), load(base + "eval_batch_size: 4\n")) == {"weights"}


def test_the_length_of_padding_counts_only_with_padding(load):
    pad = "pad_to_sequence_len: true\n"
    assert changed(load(pad), load(pad + "sequence_len: 99\n")) == {"weights", "data"}


def test_names_of_content_do_not_count(load):
    text = "base_model: {}\nadapter: lora\ndatasets: [{{path: {}, type: alpaca}}]\n"
    assert changed(load(text=text.format("a", "x.jsonl")), load(text=text.format("b", "y.jsonl"))) == set()


def test_how_rows_are_read_counts(load):
    text = "base_model: a\nadapter: lora\ndatasets: [{{path: x.jsonl, type: {}}}]\n"
    assert changed(load(text=text.format("alpaca")), load(text=text.format("sharegpt"))) == {"data"}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_the_resolved_copy_loads_to_the_same(file, tmp_path):
    config = load_config(file)
    copy = tmp_path / "copy.yml"
    copy.write_text(yaml.safe_dump(config.resolved()), "utf-8")
    again = load_config(copy)
    assert again.resolved() == config.resolved()
    assert fingerprint(again) == fingerprint(config)
    assert again.notes == config.notes
    assert json.loads(json.dumps(config.resolved())) == config.resolved()


def test_the_resolved_copy_holds_every_key(load):
    resolved = load().resolved()
    assert resolved["lora_alpha"] == 32
    assert resolved["serve"]["max_concurrency"] == 64
    assert resolved["datasets"][0]["split"] is None
    assert set(RunConfig.model_fields) == set(resolved)


def test_grammar_goes_round_inline(load, tmp_path):
    (tmp_path / "s.json").write_text('{"type": "object", "properties": {"b": {}, "a": {}}}', "utf-8")
    config = load("decode: {mode: grammar, grammar: {json: s.json}}\n")
    again = config_from(config.resolved(), Path("/elsewhere"))
    assert again.decode.grammar.grammar() == config.decode.grammar.grammar()


def test_frozen_and_closed(load):
    config = load()
    for change in (
        lambda: setattr(config, "lora_r", 3),
        lambda: setattr(config.serve, "dtype", "float32"),
        lambda: setattr(config.datasets[0], "path", "x"),
        lambda: RunConfig(**config.resolved(), lora_rr=3),
    ):
        with pytest.raises(ValidationError):
            change()


def test_source(load, tmp_path):
    assert load().source == tmp_path / "run.yml"


@pytest.mark.parametrize("file", FILES[1:], ids=lambda path: path.stem)
def test_shipped_configurations(file):
    config = load_config(file)
    assert config.notes == ()
    assert file.read_text("utf-8").startswith("# yaml-language-server: $schema=../harness/config/schema.json\n")
    assert (file.parent / "../harness/config/schema.json").is_file()
    assert config.output_dir is not None
    assert Path(config.output_dir).parent == ROOT / "outputs"


def test_the_shipped_names():
    assert {file.stem for file in FILES[1:]} >= {"quickstart", "lora", "qlora"}
    qlora = load_config(ROOT / "configs" / "qlora.yml")
    assert (qlora.adapter, qlora.load_in_4bit, qlora.bnb_config_kwargs.bnb_4bit_use_double_quant) == (
        "qlora",
        True,
        True,
    )
    assert qlora.bnb_config_kwargs.bnb_4bit_quant_type == "nf4"
