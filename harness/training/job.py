"""What the training child is told: everything it needs, and nothing of config files or caches."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from harness.types import AdapterKind, Optimizer, Schedule

Precision = Literal["auto", "bf16", "fp16", "fp32"]
LATEST = "latest"
"""In ``resume_from``: the newest checkpoint of this very training, if there is one."""


@dataclass(frozen=True)
class LoraSpec:
    """The adapter that is trained; peft's meaning of every field."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] | None = None
    """Names or endings of modules; None: every linear layer except the output head."""
    modules_to_save: tuple[str, ...] = ()
    """Modules trained in full beside the adapter."""
    rslora: bool = False
    fan_in_fan_out: bool = False
    init_from: str | None = None
    """An adapter folder to go on from, instead of fresh weights."""


@dataclass(frozen=True)
class OptimSpec:
    """Optimizer and learning-rate schedule; transformers' meaning of every field."""

    name: Optimizer = "adamw_torch_fused"
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    """0: no clipping."""
    schedule: Schedule = "cosine"
    warmup_steps: int = 0
    warmup_ratio: float = 0.0
    """Share of all steps; used only where ``warmup_steps`` is 0."""
    min_lr_ratio: float = 0.0
    """Lowest rate of ``cosine`` and ``cosine_with_min_lr`` as a share of the learning rate."""


@dataclass(frozen=True)
class TrainJob:
    """One training run. JSON-able; frozen.

    Steps are optimizer steps. One step takes a window of ``micro_batch_size x
    gradient_accumulation_steps`` rows per process.
    """

    base: str
    """Folder of the base model (safetensors)."""
    base_ref: str
    """The name under which the adapter records its base."""
    kind: AdapterKind = "lora"
    lora: LoraSpec = LoraSpec()
    optim: OptimSpec = OptimSpec()

    load_in_4bit: bool = False
    load_in_8bit: bool = False
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    bnb_4bit_use_double_quant: bool = True
    bnb_4bit_compute_dtype: Literal["bfloat16", "float16", "float32"] | None = None
    """None: what ``precision`` comes to."""
    llm_int8_threshold: float = 6.0
    precision: Precision = "auto"
    tf32: bool = False
    gradient_checkpointing: bool = False
    reentrant: bool = False
    """Whether checkpointing uses PyTorch's older implementation."""
    attention: str | None = None
    """transformers' ``attn_implementation``; None: its own choice."""
    trust_remote_code: bool = False

    sequence_len: int = 2048
    pad_to_sequence_len: bool = False
    pad_id: int = 0
    group_by_length: bool = False
    micro_batch_size: int = 1
    gradient_accumulation_steps: int = 1
    eval_batch_size: int = 1
    num_epochs: float = 1.0
    max_steps: int = 0
    """0: ``num_epochs`` decides."""
    seed: int = 42
    data_seed: int = 42

    logging_steps: int = 1
    eval_steps: int = 0
    evals_per_epoch: int = 1
    """Used where ``eval_steps`` is 0; 0: no evaluation."""
    save_steps: int = 0
    saves_per_epoch: int = 0
    """Used where ``save_steps`` is 0; 0: no checkpoints."""
    save_total_limit: int = 0
    """0: keep all."""
    checkpoints: str | None = None
    """Folder that receives ``checkpoint-<step>``; None: no checkpoints are written."""
    resume_from: str | None = None
    """A checkpoint folder, or ``latest`` for the newest one in ``checkpoints``."""
    early_stopping_patience: int = 0
    """Stop after so many evaluations without a better loss and keep the best weights; 0: never."""
    loss_watchdog_threshold: float = 0.0
    """0: no watchdog."""
    loss_watchdog_patience: int = 3

    callbacks: tuple[str, ...] = ()
    """``module:Class`` or ``file.py:Class``."""
    trackers: tuple[str, ...] = ()
    """Names that Accelerate knows (tensorboard, wandb, …)."""
    tracker_project: str = "harness"
    tracker_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    logging_dir: str | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Laid over the child's environment."""

    stop_below_loss: float = 0.0
    """Stop after a step with a lower loss; 0: never."""
    recall: bool = False
    """After training, measure how many training rows the model now knows by heart (``--overfit``)."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`harness.types.to_json` wrote."""
        values = {**data, "lora": LoraSpec(**_tuples(data["lora"])), "optim": OptimSpec(**data["optim"])}
        return cls(**_tuples(values))


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
