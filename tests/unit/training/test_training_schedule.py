import math
from typing import get_args

import pytest
import torch
from transformers import get_scheduler

from harness.training.job import OptimSpec, TrainJob
from harness.training.optimizers import BUILDERS
from harness.training.schedule import learning_rate, plan
from harness.types import Optimizer, Schedule

STEPS = 37


@pytest.mark.parametrize("warmup", [0, 1, 5, 12])
@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("cosine", "cosine", {}),
        ("linear", "linear", {}),
        ("polynomial", "polynomial", {}),
        ("inverse_sqrt", "inverse_sqrt", {}),
        ("constant", "constant", {}),
        ("constant_with_warmup", "constant_with_warmup", {}),
        ("cosine_with_min_lr", "cosine_with_min_lr", {"min_lr_rate": 0.1}),
    ],
)
def test_equals_transformers(name, theirs, options, warmup):
    optim = OptimSpec(
        schedule=name, learning_rate=3e-4, warmup_steps=warmup, min_lr_ratio=options.get("min_lr_rate", 0.0)
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
    scheduler = get_scheduler(theirs, optimizer, warmup, STEPS, scheduler_specific_kwargs=options)
    for step in range(STEPS):
        assert learning_rate(optim, step, STEPS) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-9, abs=1e-15)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("schedule", get_args(Schedule))
def test_every_schedule_of_a_config_has_a_rate(schedule):
    assert learning_rate(OptimSpec(schedule=schedule, min_lr_ratio=0.1), STEPS - 1, STEPS) > 0


def test_every_optimizer_of_a_config_can_be_built():
    assert set(BUILDERS) == set(get_args(Optimizer))


def test_warmup_ratio_is_rounded_up_and_gives_way_to_steps():
    by_ratio = OptimSpec(schedule="linear", warmup_ratio=0.1, learning_rate=1.0)
    assert [learning_rate(by_ratio, step, 25) for step in range(4)] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    by_steps = OptimSpec(schedule="linear", warmup_ratio=0.9, warmup_steps=1, learning_rate=1.0)
    assert learning_rate(by_steps, 1, 25) == 1.0


def test_min_lr_ratio_is_the_end_of_cosine():
    optim = OptimSpec(schedule="cosine", min_lr_ratio=0.25, learning_rate=1.0)
    assert learning_rate(optim, 10_000, 10_000) == pytest.approx(0.25)
    assert all(learning_rate(optim, step, 50) >= 0.25 for step in range(51))


def _plan(rows, val=3, **keys):
    job = TrainJob(base="", base_ref="", checkpoints="there", **keys)
    return plan(job, rows, val, processes=1)


@pytest.mark.parametrize(
    ("rows", "micro", "accumulation", "epochs"), [(10, 2, 2, 1), (7, 3, 1, 2), (1, 8, 4, 1), (33, 2, 4, 0.5)]
)
def test_steps(rows, micro, accumulation, epochs):
    laid_out = _plan(rows, micro_batch_size=micro, gradient_accumulation_steps=accumulation, num_epochs=epochs)
    assert laid_out.steps_per_epoch == math.ceil(rows / (micro * accumulation))
    assert laid_out.steps == max(1, math.ceil(laid_out.steps_per_epoch * epochs))


def test_max_steps_overrides_epochs():
    assert _plan(10, max_steps=3, num_epochs=50).steps == 3
    assert _plan(10, max_steps=300, num_epochs=1).steps == 300


def test_moments():
    assert _plan(100, eval_steps=30, save_steps=40).eval_at == {30, 60, 90}
    assert _plan(100, eval_steps=30, save_steps=40).save_at == {40, 80}
    per_epoch = _plan(10, num_epochs=2, evals_per_epoch=4, saves_per_epoch=1)
    assert per_epoch.eval_at == {3, 5, 8, 10, 13, 15, 18, 20}
    assert per_epoch.save_at == {10, 20}
    assert _plan(3, evals_per_epoch=50).eval_at == {1, 2, 3}
    assert _plan(10, num_epochs=0.5, evals_per_epoch=1).eval_at == {5}
    assert _plan(10, val=0, evals_per_epoch=4).eval_at == set()
    assert _plan(10, evals_per_epoch=0).eval_at == set()
