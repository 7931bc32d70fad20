"""The merge, done in this process on a tiny random model."""

import json
import warnings
from dataclasses import replace

import pytest
from model_files import make_adapter

from harness.errors import ModelError
from harness.models import CANARY, merge_adapter, read_adapter
from harness.models.merge_child import FALLBACK_IDS, logprobs, merge
from harness.types import Base

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of other libraries, while they are imported
    import bitsandbytes  # noqa: F401
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

IDS = [[3, 4, 5, 6, 7], [8, 9, 10]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A base folder in bf16 and an adapter folder that changes it."""
    folder = tmp_path_factory.mktemp("pair")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.1, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config).bfloat16()
    model.save_pretrained(folder / "base")
    (folder / "base" / "tokenizer.json").write_text("{}")
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False))
    adapted.save_pretrained(folder / "adapter")
    (folder / "adapter" / CANARY).write_text(json.dumps({"ids": IDS}))
    return folder / "base", folder / "adapter"


def request(pair, target, dtype):
    return {"base": str(pair[0]), "adapter": str(pair[1]), "target": str(target), "dtype": dtype}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_weights_are_base_plus_product_rounded_once(pair, tmp_path, dtype):
    merge(request(pair, tmp_path, dtype), lambda event: None)
    base, lora = load_file(pair[0] / "model.safetensors"), load_file(pair[1] / "adapter_model.safetensors")
    merged = load_file(tmp_path / "model.safetensors")
    changed = 0
    for name, weight in base.items():
        expected = weight.float()
        prefix = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{prefix}.lora_A.weight" in lora:
            expected += lora[f"{prefix}.lora_B.weight"].float() @ lora[f"{prefix}.lora_A.weight"].float() * (8 / 4)
            changed += 1
        assert merged[name].dtype == getattr(torch, dtype)
        if dtype == "float32":
            assert torch.allclose(merged[name], expected, atol=1e-6)
        else:
            assert (merged[name] != expected.to(merged[name].dtype)).float().mean() < 0.01
    assert changed == 14


def test_the_canary_tells_base_from_merged(pair, tmp_path):
    merge(request(pair, tmp_path, "float32"), lambda event: None)
    canary = json.loads((tmp_path / CANARY).read_text())
    base = AutoModelForCausalLM.from_pretrained(pair[0], dtype=torch.float32)
    expected = logprobs(base, IDS)
    with torch.no_grad():
        adapted = PeftModel.from_pretrained(base, pair[1])
        table = adapted(torch.tensor([IDS[1]])).logits.log_softmax(-1)[0]
    assert canary["ids"] == IDS
    assert [len(row) for row in canary["merged_logprobs"]] == [4, 2]
    for found, row in zip(canary["base_logprobs"], expected, strict=True):
        assert found == pytest.approx(row, abs=1e-5)
    assert canary["merged_logprobs"][1] == pytest.approx([table[0, 9].item(), table[1, 10].item()], abs=1e-4)
    differences = [abs(a - b) for a, b in zip(canary["base_logprobs"][0], canary["merged_logprobs"][0], strict=True)]
    assert max(differences) > 0.05


def test_an_adapter_without_a_canary_gets_one(pair, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (bare / name).write_bytes((pair[1] / name).read_bytes())
    merge(request((pair[0], bare), tmp_path / "out", "float32"), lambda event: None)
    assert json.loads((tmp_path / "out" / CANARY).read_text())["ids"] == [list(FALLBACK_IDS)]


def test_an_adapter_that_does_not_fit(pair, tmp_path):
    with pytest.raises(ModelError, match="cannot be merged into the base"):
        merge(request((pair[0], make_adapter(tmp_path / "other")), tmp_path / "out", "float32"), lambda event: None)


def test_a_merge_is_made_once_per_content(pair, tmp_path, own_home, monkeypatch):
    asked = []

    def child(module, request, name, report):
        asked.append(request["dtype"])
        (own_home.root.parent / "made").touch()
        with open(f"{request['target']}/model.safetensors", "w") as file:
            file.write(request["dtype"])
        return {}

    monkeypatch.setattr("harness.models.merge.child_work", child)
    base = Base(pair[0], "the/base", "b" * 64, "t" * 64)
    adapter = read_adapter(pair[1], None, own_home)
    events = []

    def path(base=base, adapter=adapter, dtype="float32"):
        return merge_adapter(base, adapter, own_home, dtype=dtype, on_event=events.append)

    first = path()
    assert path() == first
    assert (first / "tokenizer.json").read_text() == "{}"
    assert asked == ["float32"]
    others = {
        path(dtype="bfloat16"),
        path(adapter=replace(adapter, content_hash="x")),
        path(replace(base, content_hash="y")),
    }
    assert len(others | {first}) == 4
    assert [event["event"] for event in events] == ["merge"] * 4
