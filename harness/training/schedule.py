"""The learning rate of every step, and the steps at which something else happens.

The rate is a plain function of the step: there is no scheduler object whose state would have to be
saved and restored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.training.job import OptimSpec, TrainJob

POLYNOMIAL_END = 1e-7
"""Learning rate at the end of ``polynomial``; transformers' own, with its default power of 1."""
INVERSE_SQRT_TIMESCALE = 10_000
"""Timescale of ``inverse_sqrt`` without a warm-up; transformers' own."""


def _cosine(progress: float, optim: OptimSpec) -> float:
    return optim.min_lr_ratio + (1 - optim.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * progress))


def _linear(progress: float, optim: OptimSpec) -> float:
    del optim
    return 1 - progress


def _polynomial(progress: float, optim: OptimSpec) -> float:
    floor = POLYNOMIAL_END / optim.learning_rate
    return floor + (1 - floor) * (1 - progress)


def _constant(progress: float, optim: OptimSpec) -> float:
    del progress, optim
    return 1.0


DECAY: dict[str, Callable[[float, OptimSpec], float]] = {
    "cosine": _cosine,
    "cosine_with_min_lr": _cosine,
    "linear": _linear,
    "polynomial": _polynomial,
    "constant": _constant,
    "constant_with_warmup": _constant,
}
"""Share of the peak rate, given how far we are between the end of the warm-up (0) and the last step (1)."""


def warmup_steps(optim: OptimSpec, steps: int) -> int:
    """Return how many steps the rate rises; ``constant`` has no warm-up, as in transformers."""
    if optim.schedule == "constant":
        return 0
    return optim.warmup_steps or math.ceil(optim.warmup_ratio * steps)


def learning_rate(optim: OptimSpec, step: int, steps: int) -> float:
    """Return the learning rate of ``step`` (0-based) of ``steps``."""
    warmup = warmup_steps(optim, steps)
    if step < warmup:
        return optim.learning_rate * step / max(1, warmup)
    if optim.schedule == "inverse_sqrt":
        timescale = warmup or INVERSE_SQRT_TIMESCALE
        return optim.learning_rate * math.sqrt(timescale / (step + timescale - warmup))
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return optim.learning_rate * DECAY[optim.schedule](progress, optim)


@dataclass(frozen=True)
class Plan:
    """How long a run is and when it evaluates and saves. Steps count from 1 here: the step just done."""

    steps: int
    steps_per_epoch: int
    eval_at: frozenset[int]
    save_at: frozenset[int]


def plan(job: TrainJob, train_rows: int, val_rows: int, processes: int) -> Plan:
    """Lay out the run: a short last window of an epoch is a step of its own."""
    window = job.micro_batch_size * job.gradient_accumulation_steps * processes
    per_epoch = math.ceil(train_rows / window)
    steps = job.max_steps or max(1, math.ceil(per_epoch * job.num_epochs))
    eval_at = _moments(job.eval_steps, job.evals_per_epoch, per_epoch, steps) if val_rows else frozenset()
    save_at = _moments(job.save_steps, job.saves_per_epoch, per_epoch, steps) if job.checkpoints else frozenset()
    return Plan(steps, per_epoch, eval_at, save_at)


def _moments(every: int, times_per_epoch: int, steps_per_epoch: int, steps: int) -> frozenset[int]:
    if every:
        return frozenset(range(every, steps + 1, every))
    if not times_per_epoch:
        return frozenset()
    times = math.ceil(steps / steps_per_epoch * times_per_epoch)
    moments = (math.ceil(steps_per_epoch * k / times_per_epoch) for k in range(1, times + 1))
    return frozenset(min(moment, steps) for moment in moments)
