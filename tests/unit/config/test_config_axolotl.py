"""A file that was made for axolotl."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.config import load_config

FILE = Path(__file__).parents[2] / "data" / "axolotl_qlora.yml"

NOTED = [
    "flash_attention",
    "wandb_project",
    "wandb_entity",
    "hub_model_id",
    "model_type",
    "tokenizer_type",
    "is_mistral_derived_model",
    "strict",
    "eval_table_max_new_tokens",
]


def test_every_key_is_honoured_or_noted():
    config = load_config(FILE)
    given = {name: value for name, value in yaml.safe_load(FILE.read_text("utf-8")).items() if value is not None}
    folder = FILE.parent
    expected = {
        **given,
        "adam_epsilon": 1e-5,
        "datasets": [
            {"path": str(folder / given["datasets"][0]["path"]), "type": "sharegpt", "conversation": "alpaca"}
        ],
        "output_dir": str(folder / "qlora-alpaca-out"),
        "dataset_prepared_path": str(folder / "last_run_prepared"),
    }
    resolved = config.resolved()
    resolved["datasets"] = [{name: value for name, value in resolved["datasets"][0].items() if value}]
    assert resolved["datasets"][0].pop("train_on_eos") == "turn"
    resolved["special_tokens"] = {name: value for name, value in resolved["special_tokens"].items() if value}
    assert expected.pop("sample_packing") is False
    assert {name: resolved[name] for name in expected} == expected


def test_the_notes_are_these_and_no_others():
    notes = load_config(FILE).notes
    assert [note.split(":")[0] for note in notes] == NOTED
    assert all(": accepted, not used here, because " in note for note in notes)


def test_the_notes_depend_on_the_machine(monkeypatch):
    monkeypatch.setattr("harness.config.run.has_cuda", lambda: True)
    monkeypatch.setattr("harness.config.run.installed", lambda package: True)
    config = load_config(FILE)
    noted = [note.split(":")[0] for note in config.notes]
    assert noted == [name for name in NOTED if name not in ("flash_attention", "wandb_project", "wandb_entity")]
    assert config.trackers == ("wandb",)


def test_a_package_that_is_missing_beside_the_gpu(monkeypatch):
    monkeypatch.setattr("harness.config.run.has_cuda", lambda: True)
    note = load_config(FILE).notes[0]
    assert note == "flash_attention: accepted, not used here, because the package flash_attn is not installed"


@pytest.mark.parametrize(
    ("extra", "noted"),
    [
        ("tf32: true\nfp16: true\n", ["fp16", "tf32"]),
        ("tf32: false\nfp16: false\nflash_attention: false\nuse_tensorboard: false\nuse_wandb: false\n", []),
        ("use_tensorboard: true\n", ["use_tensorboard"]),
        ("mlflow_experiment_name: x\ncomet_project_name: x\n", ["mlflow_experiment_name", "comet_project_name"]),
        ("hub_strategy: end\npush_dataset_to_hub: x\n", ["hub_strategy", "push_dataset_to_hub"]),
        ("local_rank: 0\nxformers_attention: false\n", ["local_rank", "xformers_attention"]),
        ("local_rank:\nxformers_attention:\nstrict:\nhub_model_id:\n", []),
    ],
)
def test_notes(load, extra, noted):
    assert [note.split(":")[0] for note in load(extra).notes] == noted


@pytest.mark.parametrize(
    ("extra", "trackers"),
    [
        ("use_tensorboard: true\n", ("tensorboard",)),
        ("wandb_project: p\n", ("wandb",)),
        ("wandb_project: p\nuse_wandb: false\n", ()),
        ("use_wandb: true\n", ("wandb",)),
        ("mlflow_experiment_name: e\ncomet_project_name: c\n", ("mlflow", "comet_ml")),
        ("wandb_entity: e\n", ()),
    ],
)
def test_trackers(load, monkeypatch, extra, trackers):
    assert load(extra).trackers == ()
    monkeypatch.setattr("harness.config.run.installed", lambda package: True)
    assert load(extra).trackers == trackers
