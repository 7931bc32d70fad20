"""The training run: batches, steps, optimizer, schedule."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from harness.config.fields import Flag, Int, Number, Section, Seed, key
from harness.types import Optimizer, Schedule

_CLASS = re.compile(r"[^:]+:[A-Za-z_]\w*")


def _check_class(value: str) -> str:
    if _CLASS.fullmatch(value):
        return value
    raise ValueError("does not name a class; write module:Class or file.py:Class")


def _micro_batch_size(values: dict[str, Any]) -> int:
    return int(values["micro_batch_size"])


def _seed(values: dict[str, Any]) -> int:
    return int(values["seed"])


class GradientCheckpointing(Section):
    """Details of gradient checkpointing."""

    use_reentrant: Flag = key("Use PyTorch's older, re-entrant implementation.", False, affects="weights")


class TrainingSection(Section):
    """How the adapter is trained."""

    micro_batch_size: Int = key("Rows per forward pass.", 1, affects="weights", gt=0)
    gradient_accumulation_steps: Int = key("Forward passes per optimizer step.", 1, affects="weights", gt=0)
    num_epochs: Number = key("Passes over the training rows.", 1.0, affects="weights", gt=0)
    max_steps: Int | None = key(
        "Optimizer steps; set, it takes the place of `num_epochs`.", None, affects="weights", gt=0
    )
    learning_rate: Number = key("Peak learning rate.", 2e-4, affects="weights", gt=0)
    optimizer: Optimizer = key("Optimizer; the paged ones need a CUDA GPU.", "adamw_torch_fused", affects="weights")
    weight_decay: Number = key("Weight decay.", 0.0, affects="weights", ge=0)
    adam_beta1: Number = key("Decay of Adam's first moment.", 0.9, affects="weights", ge=0, lt=1)
    adam_beta2: Number = key("Decay of Adam's second moment.", 0.999, affects="weights", ge=0, lt=1)
    adam_epsilon: Number = key("Adam's epsilon.", 1e-8, affects="weights", gt=0)
    max_grad_norm: Number = key("Longer gradients are clipped to this length; 0: never.", 1.0, affects="weights", ge=0)
    lr_scheduler: Schedule = key("Course of the learning rate after the warm-up.", "cosine", affects="weights")
    cosine_min_lr_ratio: Number | None = key(
        "Share of the peak at which the cosine ends.", None, default_text="0", affects="weights", ge=0, le=1
    )
    warmup_steps: Int | None = key("Steps over which the learning rate rises.", None, affects="weights", ge=0)
    warmup_ratio: Number | None = key(
        "Share of all steps over which the learning rate rises.", None, affects="weights", ge=0, lt=1
    )
    seed: Seed = key("Seed of everything random.", 42, affects="weights")
    data_seed: Seed = key(
        "Seed of the validation split and of the order of the rows.",
        factory=_seed,
        default_text="`seed`",
        affects=("weights", "data"),
    )
    gradient_checkpointing: Flag = key(
        "Compute activations again in the backward pass: less memory, more time.", False, affects="weights"
    )
    gradient_checkpointing_kwargs: GradientCheckpointing = key(
        "Details of gradient checkpointing.", factory=lambda _: GradientCheckpointing(), default_text="not re-entrant"
    )
    callbacks: tuple[Annotated[str, AfterValidator(_check_class)], ...] = key(
        "Classes that are called while training, as `module:Class` or `file.py:Class`.",
        (),
        affects="weights",
        path="functions",
    )
    loss_watchdog_threshold: Number | None = key("A loss above it is taken as a sign of divergence.", None, gt=0)
    loss_watchdog_patience: Int | None = key(
        "Steps in a row with such a loss before training stops with an error.", None, default_text="3", gt=0
    )
    eval_batch_size: Int = key(
        "Rows per forward pass when the validation loss is measured.",
        factory=_micro_batch_size,
        default_text="`micro_batch_size`",
        affects="weights if early_stopping_patience",
        gt=0,
    )
    debug: Flag = key("One process, no caches, few rows.", False)
