"""The generated files are current, and every key is described."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from harness.config import config_from
from harness.config.fields import fields_of, section_of, traits_of
from harness.config.load import SCHEMA
from harness.config.reference import json_schema, reference_page
from harness.config.run import RunConfig
from harness.config.unsupported import HARMLESS, UNSUPPORTED, asks_nothing
from harness.errors import ConfigError

ROOT = Path(__file__).parents[3]
EFFECTS = {"weights", "data", "generation"}


def keys(model: type[BaseModel] = RunConfig, path: str = "") -> Iterator[tuple[str, type[BaseModel], str]]:
    for name, field in fields_of(model).items():
        yield f"{path}{name}", model, name
        section = section_of(field)
        if section:
            yield from keys(section[0], f"{path}{name}.")


KEYS = list(keys())


def test_schema_is_current():
    assert json.loads(SCHEMA.read_text("utf-8")) == json_schema(), "run: python -m harness.config"


def test_page_is_current():
    page = (ROOT / "docs" / "config.md").read_text("utf-8")
    assert page == reference_page(), "run: python -m harness.config"


@pytest.mark.parametrize(("path", "model", "name"), KEYS, ids=[path for path, _, _ in KEYS])
def test_every_key_is_described(path, model, name):
    field = fields_of(model)[name]
    traits = traits_of(field)
    assert field.description
    assert field.description.endswith(".")
    for entry in traits.affects:
        effect, _, condition = entry.partition(" if ")
        assert effect in EFFECTS
        assert not condition or condition in model.model_fields or condition in RunConfig.model_fields
    assert not (traits.unused and traits.affects), "a key that is not used affects nothing"


def test_the_page_holds_every_key():
    page = reference_page()
    for path, _, name in KEYS:
        assert f"| `{name}` |" in page, path
    for section, table in UNSUPPORTED.items():
        for name in table:
            assert f"`{section}.{name}`" in page if section else f"`{name}`" in page


def test_no_key_is_both_known_and_unsupported():
    assert not set(UNSUPPORTED[""]) & set(RunConfig.model_fields)


@pytest.mark.parametrize(
    "file",
    [ROOT / "tests/data/axolotl_qlora.yml", *sorted((ROOT / "configs").glob("*.yml"))],
    ids=lambda path: path.stem,
)
def test_the_schema_takes_what_the_loader_takes(file):
    jsonschema.Draft7Validator.check_schema(json_schema())
    values = json.loads(json.dumps(_read(file)))
    assert [error.message for error in jsonschema.Draft7Validator(json_schema()).iter_errors(values)] == []


def _read(file: Path) -> object:
    from harness.config.marks import read_document

    return read_document(file).values


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({"lora_rr": 3}, False),
        ({"lora_r": 0}, False),
        ({"lora_r": "x"}, False),
        ({"serve": {"dtype": "f"}}, False),
        ({"adapter": "full"}, False),
        ({"bf16": "auto"}, True),
        ({"deepspeed": None}, True),
        ({"decode": {"grammar": {"json": "s.json"}}}, True),
        ({"decode": {"grammar": {"json": {"type": "object"}}}}, True),
        ({"decode": {"grammar": {"json": 3}}}, False),
        ({"datasets": [{"path": "x", "data_files": ["a"]}]}, True),
    ],
)
def test_the_schema_finds_mistakes(change, good):
    values = {"base_model": "m", "adapter": "lora", "datasets": [{"path": "x.jsonl"}], **change}
    assert jsonschema.Draft7Validator(json_schema()).is_valid(values) is good


def test_importing_is_light():
    code = (
        "import sys, harness.config\n"
        "heavy = {'torch', 'transformers', 'openai', 'pyarrow', 'tokenizers', 'jsonschema', 'datasets', 'pytest'}\n"
        "raise SystemExit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_formats_are_those_of_the_data_room():
    from harness.config import DATASET_TYPES
    from harness.data.formats import FORMATS

    assert {known.name for known in FORMATS} == set(DATASET_TYPES)


def test_the_generator_writes_both_files(tmp_path, monkeypatch):
    from harness.config import __main__ as generator

    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(generator, "SCHEMA", tmp_path / "schema.json")
    generator.main()
    assert json.loads((tmp_path / "schema.json").read_text("utf-8")) == json_schema()
    assert (tmp_path / "docs" / "config.md").read_text("utf-8") == reference_page()
    assert yaml.safe_load((tmp_path / "schema.json").read_text("utf-8"))["title"] == "Configuration of a run"


def test_the_page_says_which_values_of_unsupported_keys_are_no_error():
    page = reference_page()
    assert "unless its value asks for nothing (null, false, an empty text, list or section)" in page
    assert all(asks_nothing("gates", value) for value in (None, False, "", [], {}))
    assert all(f"`{name}: {str(values[0]).lower()}`" in page for name, values in HARMLESS.items())


def test_the_hint_names_a_file_that_is_installed(tmp_path):
    with pytest.raises(ConfigError) as caught:
        config_from({}, tmp_path)
    assert caught.value.hint.endswith(f" {SCHEMA}")
    assert SCHEMA.is_file()
