"""The loop under several processes: cut as it may be, a window's gradient is the same (a tiny random model)."""

import json
import os
import random
import subprocess
import sys

import pytest

from harness.training import LoraSpec, OptimSpec, TrainJob
from harness.types import to_json

pytestmark = pytest.mark.e2e

MAKE_BASE = """
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
sizes = dict(vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
LlamaForCausalLM(LlamaConfig(**sizes, num_key_value_heads=2, initializer_range=0.1)).save_pretrained(sys.argv[1])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A base, and 11 ragged rows: with windows of 8 the last one is short, and one process has less to do."""
    folder = tmp_path_factory.mktemp("processes")
    subprocess.run([sys.executable, "-c", MAKE_BASE, str(folder / "base")], check=True)
    rng = random.Random(0)
    lines = []
    for number in range(11):
        ids = [rng.randrange(3, 97) for _ in range(rng.randrange(4, 24))]
        lines.append(json.dumps({"id": str(number), "input_ids": ids, "trained": [[rng.randrange(1, 3), len(ids)]]}))
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def train(folder, processes, micro, accumulation):
    job = TrainJob(
        base=str(folder / "base"), base_ref="tiny", precision="fp32", lora=LoraSpec(r=4, alpha=8),
        optim=OptimSpec(name="sgd", learning_rate=0.1), micro_batch_size=micro,
        gradient_accumulation_steps=accumulation, num_epochs=2, evals_per_epoch=1,
    )  # fmt: skip
    work = folder / f"{processes}-{micro}"
    (work / "out").mkdir(parents=True)
    rows = str(folder / "rows.jsonl")
    request = {"job": to_json(job), "train_rows": rows, "val_rows": rows, "out": str(work / "out")}
    (work / "job.json").write_text(json.dumps(request))
    launcher = ["torch.distributed.run", "--nproc_per_node", str(processes), "-m"]
    argv = [sys.executable, "-m", *launcher, "harness.training.child", str(work)]
    done = subprocess.run(
        argv, env={**os.environ, "ACCELERATE_USE_CPU": "true"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    events = [json.loads(line) for line in (work / "events.jsonl").read_text().splitlines()]
    return events, work / "out" / "adapter_model.safetensors"


def tensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


def test_two_processes_train_what_one_does(folder):
    alone, expected = train(folder, 1, micro=2, accumulation=4)
    events, found = train(folder, 2, micro=2, accumulation=2)
    assert events[0]["processes"] == 2
    assert [event["event"] for event in events].count("result") == 1
    for kind in ("step", "eval"):
        losses = [event["loss"] for event in events if event["event"] == kind]
        assert losses == pytest.approx([event["loss"] for event in alone if event["event"] == kind], rel=1e-6)
    before, after = tensors(expected), tensors(found)
    assert before.keys() == after.keys()
    assert max(abs(before[name] - after[name]).max() for name in before) < 1e-6
    assert max(abs(value).max() for name, value in before.items() if "lora_B" in name) > 1e-3
