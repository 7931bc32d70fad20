import json
from dataclasses import replace

import bitsandbytes
import pytest
import torch
from tiny_model import make_rows, tiny_config
from transformers import LlamaForCausalLM

from harness.training.job import LoraSpec
from harness.training.model import LabelledLoss, add_adapter, load_base, resolve_precision, save_adapter

CPU = torch.device("cpu")


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_four_bit_bases(job, kind, nested):
    job = replace(job, load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=nested)
    model = load_base(job, "bf16", CPU)
    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert len(layers) == 14
    for layer in layers:
        assert layer.weight.quant_state.quant_type == kind
        assert layer.weight.quant_state.nested is nested
        assert layer.compute_dtype == torch.bfloat16
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_eight_bit_bases(job):
    model = load_base(replace(job, load_in_8bit=True, llm_int8_threshold=5.0), "bf16", CPU)
    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear8bitLt)]
    assert len(layers) == 14
    assert all(layer.state.threshold == 5.0 for layer in layers)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("bits", [{}, {"load_in_4bit": True}, {"load_in_8bit": True}])
def test_only_the_adapter_is_trained_and_in_fp32(job, precision, bits):
    model = add_adapter(load_base(replace(job, **bits), precision, CPU), LoraSpec(r=2, modules_to_save=("lm_head",)))
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert {parameter.dtype for parameter in trainable.values()} == {torch.float32}
    assert all("lora_" in name or "modules_to_save" in name for name in trainable)
    assert sum("lora_" in name for name in trainable) == 28


def test_autocast_stays_close_to_fp32(job):
    rows = make_rows(4)
    losses = []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        loss = LabelledLoss(add_adapter(load_base(job, precision, CPU), LoraSpec(r=2)))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            losses.append(sum(loss(row.input_ids[None], row.labels[None]).item() for row in rows))
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


def test_auto_is_what_the_processor_has(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for capabilities, expected in (({"avx512_bf16": True}, "bf16"), ({"avx512_f": True, "amx_bf16": False}, "fp32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert resolve_precision("auto") == expected
        assert resolve_precision("bf16") == "bf16"
        assert resolve_precision("fp32") == "fp32"


def test_the_saved_config_is_the_same_whatever_order_a_set_has(tmp_path):
    texts = set()
    for order in (("q_proj", "up_proj", "k_proj"), ("up_proj", "k_proj", "q_proj")):
        torch.manual_seed(0)
        model = add_adapter(LlamaForCausalLM(tiny_config()).requires_grad_(False), LoraSpec(target_modules=order))
        save_adapter(model, tmp_path, "the/base")
        texts.add((tmp_path / "adapter_config.json").read_text())
    assert len(texts) == 1
    assert json.loads(texts.pop())["target_modules"] == ["k_proj", "q_proj", "up_proj"]
