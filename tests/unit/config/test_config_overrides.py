"""``--set key=value`` and ``--data``."""

from __future__ import annotations

from pathlib import Path

import pytest

TWO = "base_model: m\nadapter: lora\ndatasets:\n  - {path: a.jsonl, type: alpaca}\n  - {path: b.jsonl, type: alpaca}\n"


@pytest.mark.parametrize(
    ("request_", "read", "value"),
    [
        ("lora_r=8", lambda c: c.lora_r, 8),
        ("lora_r=8", lambda c: c.lora_alpha, 16),
        ("learning_rate=1e-3", lambda c: c.learning_rate, 1e-3),
        ("serve.dtype=float32", lambda c: c.serve.dtype, "float32"),
        ("decode.grammar.choice=[yes please, 'no']", lambda c: c.decode.grammar.choice, ("yes please", "no")),
        ("decode.stop=['a', \"b=c\"]", lambda c: c.decode.stop, ("a", "b=c")),
        ("datasets[0].split=train[:9]", lambda c: c.datasets[0].split, "train[:9]"),
        ("datasets[0].split='[:9]'", lambda c: c.datasets[0].split, "[:9]"),
        ("chat_template_jinja='{{ a=b }}'", lambda c: c.chat_template_jinja, "{{ a=b }}"),
        ("serve={dtype: float32, engine: vllm}", lambda c: c.serve.engine, "vllm"),
        (" lora_r = 4 ", lambda c: c.lora_r, 4),
        ("seed=", lambda c: c.seed, 42),
    ],
)
def test_values(load, request_, read, value):
    assert read(load("seed: 7\n" if request_ == "seed=" else "", (request_,))) == value


def test_a_later_override_wins_and_all_show_in_the_resolved_copy(load):
    config = load("lora_r: 2\n", ("lora_r=4", "serve.dtype=float32", "lora_r=8"))
    resolved = config.resolved()
    assert (resolved["lora_r"], resolved["lora_alpha"], resolved["serve"]["dtype"]) == (8, 16, "float32")


def test_null_takes_a_key_of_the_file_out(load):
    assert load("warmup_ratio: 0.1\n", ("warmup_ratio=null", "warmup_steps=3")).warmup_ratio is None


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("lora_rr=8", "unknown key 'lora_rr'; did you mean 'lora_r'?"),
        ("serve.dtyp=float32", "unknown key 'dtyp' in serve; did you mean 'dtype'?"),
        ("lora_r=-1", "lora_r: -1 is not allowed; it must be greater than 0"),
        ("datasets[0].splt=x", "unknown key 'splt' in datasets[0]; did you mean 'split'?"),
        (
            "sample_packing=true",
            "sample_packing is not supported: packing several rows into one is not available yet; "
            "remove the key (group_by_length saves padding)",
        ),
        ("lora_r", "there is no `=`; write key=value"),
        ("=5", "'' is not the name of a key; write lora_r, serve.dtype or datasets[0].split"),
        ("a..b=5", "'a..b' is not the name of a key; write lora_r, serve.dtype or datasets[0].split"),
        ("[0]=5", "'[0]' is not the name of a key; write lora_r, serve.dtype or datasets[0].split"),
        ("datasets[x]=5", "'datasets[x]' is not the name of a key; write lora_r, serve.dtype or datasets[0].split"),
        ("datasets[1].split=x", "datasets has 1 entries; the last is [0]"),
        ("datasets.split=x", "datasets is a list; write datasets[0].split"),
        ("base_model.x=1", "base_model is a single value and has no keys"),
        ("base_model[0]=1", "base_model is not a list"),
        (
            "lora_r=[1",
            "the value cannot be read (this is not YAML: while parsing a flow sequence expected ',' or ']', but got "
            "'<stream end>'; put quotes around a text that starts with a bracket or another special "
            "character); put quotes "
            "around a text",
        ),
    ],
)
def test_problems(problems, request_, message):
    assert problems("", (request_,)) == [f"--set {request_}: {message}"]


def test_problems_of_the_file_and_of_the_overrides_come_together(problems):
    assert len(problems("lora_r: 0\n", ("lora_alpha=0", "nothing", "serve.dtyp=x"))) == 4


def test_a_contradiction_between_file_and_override_names_the_override(problems):
    (message,) = problems("warmup_ratio: 0.1\nsave_steps: 3\n", ("saves_per_epoch=2",))
    assert message.startswith("--set saves_per_epoch=2: saves_per_epoch cannot be set together with save_steps")


def test_names_of_files_are_relative_to_where_they_stand(load, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    config = load("output_dir: out\n", ("dataset_prepared_path=prepared",))
    assert config.output_dir == str(tmp_path / "out")
    assert config.dataset_prepared_path == str(elsewhere / "prepared")


def test_data_takes_the_place_of_the_path(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "base_model: m\nadapter: lora\ndatasets: [{path: a.jsonl, type: alpaca, split: 'train[:5]', field: x}]\n"
    config = load(text=text, data=Path("new/b.jsonl"))
    (dataset,) = config.datasets
    assert (dataset.path, dataset.type, dataset.field) == (str(tmp_path / "new/b.jsonl"), "alpaca", "x")
    assert dataset.split is None, "a slice of the old file says nothing about the new one"
    assert config.resolved()["datasets"][0]["path"] == str(tmp_path / "new/b.jsonl")


def test_data_in_a_package_keeps_its_name(load):
    assert load(data="package://p/rows.json").datasets[0].path == "package://p/rows.json"


def test_data_and_then_overrides(load):
    config = load("", ("datasets[0].split=train[:3]",), data=Path("b.jsonl"))
    assert (config.datasets[0].split, Path(config.datasets[0].path).name) == ("train[:3]", "b.jsonl")


def test_data_needs_a_single_data_set(problems):
    assert problems(text=TWO, data=Path("c.jsonl")) == [
        "--data c.jsonl: takes the place of a single data set, and this config has 2; "
        "name them all instead: --set 'datasets=[{path: …, type: …}]'"
    ]


def test_all_data_sets_can_be_named_by_an_override(load):
    config = load(text=TWO, overrides=("datasets=[{path: c.jsonl, type: sharegpt}]",))
    assert [(Path(d.path).name, d.type) for d in config.datasets] == [("c.jsonl", "sharegpt")]
