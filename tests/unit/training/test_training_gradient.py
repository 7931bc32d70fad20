"""The gradient of a window against an independent reference: each row alone, unpadded, full logits, float64."""

from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from tiny_model import VOCABULARY, make_rows, tiny_config
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GraniteConfig,
    LlamaForCausalLM,
    Qwen3Config,
)

from harness.training.batching import collate, windows
from harness.training.job import LoraSpec
from harness.training.loop import backward
from harness.training.measure import evaluate
from harness.training.model import LabelledLoss, add_adapter, save_adapter
from harness.training.run import prepare


def reference(model, rows):
    """Mean loss per labelled token over all rows, differentiable."""
    total, count = 0.0, 0
    for row in rows:
        logits = model(input_ids=row.input_ids[None]).logits[0, :-1]
        total = total + functional.cross_entropy(logits, row.labels[1:], ignore_index=-100, reduction="sum")
        count += sum(label != -100 for label in row.labels[1:].tolist())
    return total / count


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def relative_error(found, expected):
    assert found.keys() == expected.keys()
    difference = sum((found[name].double() - expected[name]).square().sum() for name in expected).sqrt()
    return float(difference / sum(grad.square().sum() for grad in expected.values()).sqrt())


def shake(model):
    """Give the adapter weights of a run that is under way: fresh ones have B = 0, and so no gradient for A."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.05


WINDOWS = [(8, 8, 1), (8, 1, 8), (8, 2, 4), (8, 3, 3), (11, 2, 4), (5, 4, 2), (1, 4, 4)]


@pytest.mark.parametrize(
    ("rows", "micro", "accumulation", "checkpointing"),
    [*((*window, None) for window in WINDOWS), (11, 2, 4, "reentrant"), (11, 2, 4, "not reentrant")],
)
def test_window_gradient(job, tmp_path, rows, micro, accumulation, checkpointing):
    job = replace(
        job, micro_batch_size=micro, gradient_accumulation_steps=accumulation,
        gradient_checkpointing=checkpointing is not None, reentrant=checkpointing == "reentrant",
    )  # fmt: skip
    data = make_rows(rows, seed=rows)
    run = prepare(job, data, [], tmp_path, lambda event: None, "")
    shake(run.model)
    save_adapter(run.model, tmp_path / "adapter", "tiny")
    other = AutoModelForCausalLM.from_pretrained(job.base, dtype=torch.float32)
    other = PeftModel.from_pretrained(other, tmp_path / "adapter", is_trainable=True).double()

    laid_out = list(windows(job, data, run.plan.steps))
    assert sum(len(window.rows) for window in laid_out) == rows
    for window in laid_out:
        batches = [collate([data[i] for i in m], job) for m in window.micro_batches([r.length for r in data], micro)]
        tokens = sum(data[i].trained for i in window.rows)
        loss = backward(run, batches, tokens, window.step + 1)
        expected = reference(other, [data[i] for i in window.rows])
        expected.backward()
        assert loss == pytest.approx(expected.item(), rel=1e-6)
        assert relative_error(gradients(run.model), gradients(other)) < 1e-6
        run.optimizer.zero_grad()
        other.zero_grad()


def test_naive_normalisations_would_be_seen(job, tmp_path):
    """The tolerance above can fail: dividing per micro-batch, or by unshifted labels, is far outside it."""
    data = make_rows(8, seed=8)
    run = prepare(
        replace(job, micro_batch_size=2, gradient_accumulation_steps=4), data, [], tmp_path, lambda e: None, ""
    )
    shake(run.model)
    reference(run.model, data).backward()
    right = {name: grad.double() for name, grad in gradients(run.model).items()}
    run.model.zero_grad()
    for start in range(0, 8, 2):
        (reference(run.model, data[start : start + 2]) / 4).backward()
    assert relative_error(gradients(run.model), right) > 0.01


SIZES = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
MODELS = {
    "llama": lambda: tiny_config(),
    "gemma2, soft-capped logits": lambda: Gemma2Config(**SIZES, **HEADS, **ENDS, final_logit_softcapping=2.0),
    "cohere, scaled logits": lambda: CohereConfig(
        **SIZES, num_attention_heads=4, num_key_value_heads=2, **ENDS, logit_scale=0.3
    ),
    "granite, divided logits": lambda: GraniteConfig(
        **SIZES, num_attention_heads=4, num_key_value_heads=2, **ENDS, logits_scaling=3.0
    ),
    "qwen3": lambda: Qwen3Config(**SIZES, **HEADS, **ENDS),
    "gpt2, transposed weights": lambda: GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, **ENDS),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("save_head", [False, True])
def test_logits_where_there_is_a_label_equal_full_logits(name, save_head):
    torch.manual_seed(0)
    config = MODELS[name]()
    config.tie_word_embeddings = False
    base = AutoModelForCausalLM.from_config(config).eval()
    base.requires_grad_(False)
    spec = LoraSpec(r=4, fan_in_fan_out=name.startswith("gpt2"), modules_to_save=("lm_head",) if save_head else ())
    model = add_adapter(base, spec)
    shake(model)
    model.eval()
    job_rows = make_rows(6, seed=4)
    batch = collate(job_rows, _any_job())
    reference(model, job_rows).backward()
    expected = {key: grad.double() for key, grad in gradients(model).items()}
    model.zero_grad()

    seen = []
    loss = LabelledLoss(model)
    model.get_base_model().get_output_embeddings().register_forward_hook(lambda m, i, o: seen.append(o.shape[:-1]))
    (loss(batch.input_ids, batch.labels) / batch.trained).backward()
    assert seen == [(1, batch.trained)], "the head was asked for other positions"
    assert relative_error(gradients(model), expected) < 2e-6


def _any_job():
    from harness.training.job import TrainJob

    return TrainJob(base="", base_ref="")


def test_a_model_that_bypasses_its_head_is_indexed_instead():
    torch.manual_seed(0)

    class Bypass(LlamaForCausalLM):
        def forward(self, input_ids, use_cache=False):
            hidden = self.model(input_ids=input_ids, use_cache=use_cache).last_hidden_state
            return type("Output", (), {"logits": functional.linear(hidden, self.lm_head.weight)})

    torch.manual_seed(0)
    plain = LlamaForCausalLM(tiny_config())
    torch.manual_seed(0)
    bypass = Bypass(tiny_config())
    batch = collate(make_rows(5), _any_job())
    expected = LabelledLoss(plain)(batch.input_ids, batch.labels)
    assert LabelledLoss(bypass)(batch.input_ids, batch.labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_batch_without_labels_gives_zero_and_a_gradient():
    model = add_adapter(LlamaForCausalLM(tiny_config()).requires_grad_(False), LoraSpec(r=2))
    ids = torch.tensor([[3, 4, 5]])
    loss = LabelledLoss(model)(ids, torch.full_like(ids, -100))
    loss.backward()
    assert loss.item() == 0
    assert all(float(grad.abs().max()) == 0 for grad in gradients(model).values())


@pytest.mark.parametrize("size", [1, 3, 50])
def test_eval_loss(job, tmp_path, size):
    job = replace(job, eval_batch_size=size, lora=LoraSpec(r=4, dropout=0.5))
    rows = make_rows(9, seed=2)
    run = prepare(job, rows, rows, tmp_path, lambda event: None, "")
    shake(run.model)
    found = evaluate(run, rows)
    assert run.model.training
    run.model.eval()
    assert found == pytest.approx(reference(run.model, rows).item(), rel=1e-6)
