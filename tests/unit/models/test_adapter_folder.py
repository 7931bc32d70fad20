import json
from pathlib import Path

import pytest
from model_files import make_adapter, make_base, write_safetensors

from harness.errors import ModelError
from harness.models import HARNESS_FILE, adapter_hash, read_adapter, resolve_base
from harness.types import Adapter, to_json


@pytest.fixture
def base(base_folder, own_home):
    return resolve_base(str(base_folder), own_home)


def edit_config(folder, **changes):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_an_adapter_made_elsewhere(tmp_path, base, own_home):
    folder = make_adapter(tmp_path / "adapter")
    adapter = read_adapter(folder, base, own_home)
    assert adapter == Adapter(folder, "some/base", base.content_hash, "lora", adapter_hash(folder), "", "")
    assert read_adapter(folder, None, own_home).base_hash == ""


def test_an_adapter_of_ours(tmp_path, base, own_home):
    folder = make_adapter(tmp_path / "adapter")
    ours = Adapter(
        Path(), base.ref, base.content_hash, "qlora", adapter_hash(folder), "c", "d", "{{ t }}", {"eos_token": "x"}
    )
    (folder / HARNESS_FILE).write_text(json.dumps({"adapter": to_json(ours)}))
    found = read_adapter(folder, base, own_home)
    assert found == Adapter(folder, *list(vars(ours).values())[1:])


def test_the_hash_follows_weights_and_config_but_not_names(tmp_path):
    first, second = make_adapter(tmp_path / "a"), make_adapter(tmp_path / "b", base_model_name_or_path="/elsewhere")
    (second / "README.md").write_text("hello")
    assert adapter_hash(first) == adapter_hash(second)
    edit_config(second, lora_alpha=5)
    assert adapter_hash(first) != adapter_hash(second)
    other = make_adapter(tmp_path / "c")
    weights = other / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert adapter_hash(first) != adapter_hash(other)


def test_our_adapter_for_another_base(tmp_path, base, own_home):
    folder = make_adapter(tmp_path / "adapter")
    ours = Adapter(Path(), "the/other", "0" * 64, "lora", "x", "c", "d")
    (folder / HARNESS_FILE).write_text(json.dumps({"adapter": to_json(ours)}))
    with pytest.raises(ModelError, match=r"it was trained on the/other \(000000000000\), the base is"):
        read_adapter(folder, base, own_home)
    assert read_adapter(folder, None, own_home).base_ref == "the/other"


def test_shapes_of_another_base(tmp_path, own_home):
    other = resolve_base(str(make_base(tmp_path / "larger", hidden=16)), own_home)
    with pytest.raises(ModelError) as caught:
        read_adapter(make_adapter(tmp_path / "adapter"), other, own_home)
    message = str(caught.value)
    assert "it was made for another base than" in message
    assert "it names some/base" in message
    assert "model.layers.0.self_attn.q_proj: made for size 8, the base has 16" in message
    assert message.count("self_attn.q_proj: made for size 8, the base has 16") == 1, "both of its matrices say the same"


def test_modules_that_the_base_does_not_have(tmp_path, base, own_home):
    folder = make_adapter(tmp_path / "adapter")
    write_safetensors(
        folder / "adapter_model.safetensors", {"base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight": (2, 8)}
    )
    with pytest.raises(ModelError, match=r"layers\.7\.self_attn\.q_proj: not in the base"):
        read_adapter(folder, base, own_home)


def test_transposed_weights(tmp_path, own_home):
    folder = tmp_path / "conv"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    write_safetensors(folder / "model.safetensors", {"h.0.attn.weight": (8, 24)})
    base = resolve_base(str(folder), own_home)
    adapter = make_adapter(tmp_path / "adapter", fan_in_fan_out=True)
    lora = {"base_model.model.h.0.attn.lora_A.weight": (2, 8), "base_model.model.h.0.attn.lora_B.weight": (24, 2)}
    write_safetensors(adapter / "adapter_model.safetensors", lora)
    read_adapter(adapter, base, own_home)
    edit_config(adapter, fan_in_fan_out=False)
    with pytest.raises(ModelError, match="another base"):
        read_adapter(adapter, base, own_home)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"use_dora": True}, "DoRA is not served by vLLM: merge it into its base with peft"),
        ({"lora_bias": True}, "lora_bias is not served"),
        ({"trainable_token_indices": [1, 2]}, "trained token embeddings"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the base model"),
        ({"init_lora_weights": "olora"}, "path_initial_model_for_weight_conversion"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3', only LORA is supported"),
    ],
)
def test_kinds_that_cannot_be_served(tmp_path, own_home, changes, words):
    folder = make_adapter(tmp_path / "adapter", **changes)
    with pytest.raises(ModelError, match="cannot be used") as caught:
        read_adapter(folder, None, own_home)
    assert words in str(caught.value)


def test_several_problems_at_once(tmp_path, own_home):
    folder = make_adapter(tmp_path / "adapter", use_dora=True, lora_bias=True)
    write_safetensors(folder / "adapter_model.safetensors", {"something": (2,)})
    with pytest.raises(ModelError) as caught:
        read_adapter(folder, None, own_home)
    assert len(caught.value.problems) == 3


def test_nothing_there(tmp_path, own_home):
    with pytest.raises(ModelError, match="there is no such folder"):
        read_adapter(tmp_path / "gone", None, own_home)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError) as caught:
        read_adapter(tmp_path / "empty", None, own_home)
    assert len(caught.value.problems) == 2


def test_pickled_weights(tmp_path, own_home):
    folder = make_adapter(tmp_path / "adapter")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"adapter_model\.bin is a pickle, which can run code"):
        read_adapter(folder, None, own_home)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", HARNESS_FILE])
def test_damaged_files(tmp_path, own_home, name):
    folder = make_adapter(tmp_path / "adapter")
    (folder / name).write_text('{"half":')
    with pytest.raises(ModelError, match="is damaged"):
        read_adapter(folder, None, own_home)


@pytest.mark.parametrize("record", [{"adapter": {"path": "."}}, {"adapter": 3}, {"adapter": {"unknown": 1}}])
def test_a_record_of_ours_that_is_not_one(tmp_path, own_home, record):
    folder = make_adapter(tmp_path / "adapter")
    (folder / HARNESS_FILE).write_text(json.dumps(record))
    with pytest.raises(ModelError, match="is damaged"):
        read_adapter(folder, None, own_home)
