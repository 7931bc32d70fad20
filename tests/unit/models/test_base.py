import json
import subprocess
import sys

import pytest
from model_files import make_adapter, make_base, write_safetensors

from harness.errors import ConfigError, ModelError
from harness.models import resolve_base


def test_a_folder_is_taken_as_it_is(base_folder, own_home):
    base = resolve_base(str(base_folder), own_home)
    assert base.path == base_folder
    assert base.ref == str(base_folder)
    assert not own_home.models.exists()


def test_hashes_follow_the_content(tmp_path, own_home):
    def hashes(folder):
        base = resolve_base(str(folder), own_home)
        return base.content_hash, base.tokenizer_hash

    first, same = make_base(tmp_path / "a"), make_base(tmp_path / "b")
    (same / "README.md").write_text("not part of the model")
    assert hashes(first) == hashes(same)
    other_weights = make_base(tmp_path / "c", fill=1)
    assert hashes(other_weights)[0] != hashes(first)[0]
    assert hashes(other_weights)[1] == hashes(first)[1]
    (same / "chat_template.jinja").write_text("{{ messages }}")
    assert hashes(same)[0] == hashes(first)[0]
    assert hashes(same)[1] != hashes(first)[1]
    (same / "config.json").write_text('{"model_type": "llama", "rope_theta": 1}')
    assert hashes(same)[0] != hashes(first)[0]


@pytest.mark.parametrize(
    "ref", ["/no/such/folder", "./nothing", "a/b/c", "~/nothing-there", "weights.gguf", "x y", "some/model.bin"]
)
def test_a_path_that_is_not_there(ref, own_home):
    with pytest.raises(ModelError, match="the base model is not there") as caught:
        resolve_base(ref, own_home)
    assert "package://<package>/<file>" in str(caught.value)


def test_a_package_that_is_not_there(own_home):
    with pytest.raises(ConfigError, match="no_such_package is not installed"):
        resolve_base("package://no_such_package/model.gguf", own_home)


def test_all_problems_of_a_folder_at_once(tmp_path, own_home):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError) as caught:
        resolve_base(str(folder), own_home)
    message = str(caught.value)
    assert "config.json is missing" in message
    assert "the weights are a pickle (pytorch_model.bin)" in message
    assert "no tokenizer: tokenizer.json is missing" in message
    assert len(caught.value.problems) == 3


def test_no_weights(base_folder, own_home):
    (base_folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"there is no \.safetensors file"):
        resolve_base(str(base_folder), own_home)


def test_damaged_weights_and_missing_shards(base_folder, own_home):
    write_safetensors(base_folder / "model-00001-of-00003.safetensors", {"a": (4,)})
    (base_folder / "model.safetensors").write_bytes((base_folder / "model.safetensors").read_bytes()[:-9])
    weight_map = {"a": "model-00001-of-00003.safetensors", "b": "model-00002-of-00003.safetensors"}
    (base_folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ModelError) as caught:
        resolve_base(str(base_folder), own_home)
    assert "it is cut off or damaged" in str(caught.value)
    assert "model-00002-of-00003.safetensors is named in the index and missing" in str(caught.value)


@pytest.mark.parametrize(("text", "words"), [("{", "cannot be read"), ("[]", "not a JSON object")])
def test_a_broken_config(base_folder, own_home, text, words):
    (base_folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=words):
        resolve_base(str(base_folder), own_home)


def test_a_broken_index(base_folder, own_home):
    (base_folder / "model.safetensors.index.json").write_text("[")
    with pytest.raises(ModelError, match=r"index\.json: .*cannot be read"):
        resolve_base(str(base_folder), own_home)


def test_an_adapter_is_not_a_base(tmp_path, own_home):
    with pytest.raises(ModelError, match=r"this is an adapter, not a base model: give it as --adapter"):
        resolve_base(str(make_adapter(tmp_path / "adapter")), own_home)


def test_a_file_that_is_no_gguf(tmp_path, own_home):
    (tmp_path / "model.gguf").write_bytes(b"<html>404</html>")
    with pytest.raises(ModelError, match="not a GGUF file"):
        resolve_base(str(tmp_path / "model.gguf"), own_home)


def test_a_gguf_that_cannot_be_converted_leaves_no_entry(tmp_path, own_home):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(ModelError) as caught:
        resolve_base(str(file), own_home)
    assert "the GGUF file cannot be converted" in str(caught.value)
    assert str(file) in str(caught.value)
    assert [path for path in own_home.models.glob("*") if not path.name.startswith(".")] == []


def test_a_hub_id_is_found_in_the_local_cache(tmp_path, own_home, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    repository = tmp_path / "hub" / "hub" / "models--someone--small"
    snapshot = make_base(repository / "snapshots" / "abc123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    base = resolve_base("someone/small", own_home)
    assert base.path.resolve() == snapshot.resolve()
    assert base.ref == "someone/small"
    with pytest.raises(ModelError, match="someone/small at revision v2 cannot be found"):
        resolve_base("someone/small", own_home, revision="v2")


def test_a_hub_id_that_is_not_there(tmp_path, own_home, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError) as caught:
        resolve_base("someone/unknown", own_home)
    message = str(caught.value)
    assert "someone/unknown cannot be found" in message
    assert "HF_HUB_OFFLINE" in message
    assert "There is no file or folder of that name either" in message
    assert "Traceback" not in message


HEAVY = {"torch", "transformers", "peft", "accelerate", "numpy", "safetensors", "huggingface_hub", "pyarrow"}


def test_nothing_heavy_is_imported():
    code = "import sys, harness.models, harness.training; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & {name.split(".")[0] for name in done.stdout.split()}
