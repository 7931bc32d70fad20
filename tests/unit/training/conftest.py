"""Training in this process, on a tiny random model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from accelerate.state import AcceleratorState
from tiny_model import Row, tiny_config

from harness.training.job import LoraSpec, OptimSpec, TrainJob
from harness.training.loop import train


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def fresh_accelerate() -> None:
    """Accelerate keeps precision and device for the life of a process; a training process runs once."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    """A random Llama with two layers, as a folder."""
    folder = tmp_path_factory.mktemp("tiny-base")
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(tiny_config()).save_pretrained(folder)
    return folder


@pytest.fixture
def job(tiny_base) -> TrainJob:
    return TrainJob(
        base=str(tiny_base), base_ref="tiny", precision="fp32", lora=LoraSpec(r=4, alpha=8),
        optim=OptimSpec(name="adamw_torch", learning_rate=1e-2, schedule="constant"),
        micro_batch_size=2, gradient_accumulation_steps=2, evals_per_epoch=0,
    )  # fmt: skip


@pytest.fixture
def run_job(tmp_path) -> Callable:
    """Train in this process; returns the figures, the adapter's folder and the events."""
    numbers = iter(range(100))

    def run(job: TrainJob, rows: list[Row], val: list[Row] = (), **options):
        out = tmp_path / f"out-{next(numbers)}"
        out.mkdir()
        events: list[dict] = []
        figures = train(job, rows, val, out, events.append, **options)
        return figures, out, events

    return run
