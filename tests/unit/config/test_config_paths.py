"""Names of files, packages and models."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.config import config_from, package_file
from harness.errors import ConfigError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable package that fails when it is imported."""
    root = tmp_path / "site"
    (root / "rowsy" / "data").mkdir(parents=True)
    (root / "rowsy" / "__init__.py").write_text("raise AssertionError('imported')\n")
    (root / "rowsy" / "data" / "rows.json").write_text("{}")
    (root / "rowsy" / "data" / "more.json").write_text("{}")
    (root / "bare" / "data").mkdir(parents=True)
    (root / "bare" / "data" / "rows.json").write_text("{}")
    monkeypatch.syspath_prepend(str(root))
    return root


def dataset(load, path: str, more: str = "") -> object:
    return load(text=f"base_model: m\nadapter: lora\ndatasets: [{{path: '{path}'{more}}}]\n").datasets[0]


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "./rows", "../x/rows.csv", "sub/rows.parquet", "a/b/c", "sub/", "*.jsonl", "a?"]
)
def test_names_of_row_files_are_made_absolute(load, tmp_path, name):
    expected = Path(tmp_path, name)
    assert Path(dataset(load, name).path) == Path(*_flat(expected))


def _flat(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return parts


@pytest.mark.parametrize("name", ["org/name", "squad", "package://p/rows.json"])
def test_ids_and_packages_stay(load, name):
    assert dataset(load, name).path == name


def test_an_existing_folder_wins_over_an_id(load, tmp_path):
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert dataset(load, "org/name").path == str(tmp_path / "org" / "name")


def test_absolute_names_and_home(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert dataset(load, "/data/rows.jsonl").path == "/data/rows.jsonl"
    assert dataset(load, "~/rows.jsonl").path == str(tmp_path / "rows.jsonl")


def test_files_of_a_loader_are_relative_to_the_yaml(load, tmp_path):
    one = dataset(load, "json", ", data_files: sub/a.jsonl")
    assert (one.path, one.data_files) == ("json", str(tmp_path / "sub/a.jsonl"))
    many = dataset(load, "json", ", data_files: [a.jsonl, b.jsonl]")
    assert many.data_files == (str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"))
    assert dataset(load, "folder/", ", data_files: [a.jsonl]").data_files == ("a.jsonl",)


@pytest.mark.parametrize("name", ["org/model", "org/model-v0.1", "gpt2", "package://p/x.gguf"])
def test_models_on_the_hub_stay(load, name):
    assert load(text=f"base_model: {name}\nadapter: lora\ndatasets: [{{path: x.jsonl}}]\n").base_model == name


@pytest.mark.parametrize("name", ["./model", "model.gguf", "models/a/b", "model/"])
def test_models_on_disk_are_made_absolute(load, tmp_path, name):
    text = f"base_model: {name}\nadapter: lora\ndatasets: [{{path: x.jsonl}}]\n"
    assert load(text=text).base_model == str(tmp_path / name)


def test_other_paths_are_relative_to_the_yaml(load, tmp_path):
    config = load("output_dir: ../out\nlora_model_dir: a/b\nresume_from_checkpoint: ckpt\n")
    assert config.output_dir == str(tmp_path.parent / "out")
    assert config.lora_model_dir == str(tmp_path / "a/b")
    assert config.resume_from_checkpoint == str(tmp_path / "ckpt")


def test_row_functions(load, problems, tmp_path):
    (tmp_path / "rows.py").write_text("")
    assert dataset(load, "x.jsonl", ", type: './rows.py:f'").type == f"{tmp_path}/rows.py:f"
    assert dataset(load, "x.jsonl", ", type: 'my.rows:f'").type == "my.rows:f"
    (message,) = problems(text="base_model: m\nadapter: lora\ndatasets: [{path: x.jsonl, type: 'no.py:f'}]\n")
    assert message.startswith("run.yml:3: datasets[0].type: there is no file ")


def test_callbacks(load, problems, tmp_path):
    (tmp_path / "mine.py").write_text("")
    assert load("callbacks: [mine.py:Stop, pkg.mod:Log]\n").callbacks == (f"{tmp_path}/mine.py:Stop", "pkg.mod:Log")
    assert "there is no file" in problems("callbacks: [none.py:Stop]\n")[0]
    assert problems("callbacks: [pkg.Stop]\n") == [
        "run.yml:6: callbacks[0]: 'pkg.Stop' does not name a class; write module:Class or file.py:Class"
    ]
    assert problems("callbacks: pkg:Stop\n") == [
        "run.yml:6: callbacks: 'pkg:Stop' is text; it must be a list: [pkg:Stop]"
    ]


def test_a_template_is_text_or_a_file(load, problems, tmp_path):
    (tmp_path / "t.jinja").write_text("{{ messages }}", "utf-8")
    by_file, by_text = load("chat_template_jinja: t.jinja\n"), load("chat_template_jinja: '{{ messages }}'\n")
    assert by_file.chat_template_jinja == by_text.chat_template_jinja == "{{ messages }}"
    assert by_file.affecting("data") == by_text.affecting("data")
    assert "chat_template_jinja: there is no file" in problems("chat_template_jinja: none.jinja\n")[0]


def test_names_that_no_disk_takes(problems):
    for name in ("x" * 5000, "~nobody-here/x.jsonl", '"a\\0b"'):
        found = problems(f"chat_template_jinja: {name}\n")
        assert len(found) == 1
        assert "chat_template_jinja" in found[0]


def test_package_file_does_not_import(package):
    assert package_file("package://rowsy/data/rows.json") == package / "rowsy/data/rows.json"
    assert package_file("package://rowsy.data/rows.json") == package / "rowsy/data/rows.json"
    assert package_file("package://bare/data/rows.json") == package / "bare/data/rows.json"
    assert "rowsy" not in sys.modules


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("package://nowhere_at_all/x.json", "the package nowhere_at_all is not installed"),
        ("package://rowsy/data/none.json", "there is no such file in the package rowsy; it has more.json, rows.json"),
        ("package://rowsy/data/none.csv", "there is no such file in the package rowsy"),
        ("package://rowsy", "is not of the form package://import_name/file"),
        ("package://rowsy/", "is not of the form"),
        ("package://", "is not of the form"),
        ("package://a-b/c", "is not of the form"),
        ("package://rowsy/../secret", "is not of the form"),
        ("package://rowsy//etc/passwd", "is not of the form"),
        ("package://sys/x", "the package sys is not installed"),
        ("package://__main__/x", "the package __main__ is not installed"),
        ("rowsy/data/rows.json", "is not of the form"),
    ],
)
def test_package_file_problems(package, ref, said):
    with pytest.raises(ConfigError) as caught:
        package_file(ref)
    assert said in str(caught.value)


def test_a_file_in_a_package_as_a_path(load, package):
    config = load("lora_model_dir: package://rowsy/data\n")
    assert config.lora_model_dir == str(package / "rowsy/data")


def test_config_from_values(tmp_path):
    values = {"base_model": "m", "adapter": "lora", "datasets": ({"path": "x.jsonl"},), "output_dir": Path("out")}
    config = config_from(values, tmp_path)
    assert config.datasets[0].path == str(tmp_path / "x.jsonl")
    assert config.output_dir == str(tmp_path / "out")
    assert config.source is None
    assert values["datasets"] == ({"path": "x.jsonl"},), "the caller's values are left alone"
    (tmp_path / "x.jsonl").touch()
    with pytest.raises(ConfigError, match=r"^the configuration has a problem:\n  unknown key 'lora_rr'"):
        config_from({**values, "lora_rr": 1}, tmp_path)
