"""The parts of a training run, built in the order that makes two runs equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from harness.training.batching import Batch, Row
from harness.training.callbacks import Callbacks
from harness.training.checkpoints import identity
from harness.training.job import TrainJob
from harness.training.model import LabelledLoss, Trained, add_adapter, check_ids, load_base, resolve_precision
from harness.training.optimizers import build_optimizer
from harness.training.schedule import Plan, plan
from harness.training.stopping import EarlyStopping, LossWatchdog

Emit = Callable[[Mapping[str, Any]], None]


@dataclass
class Meter:
    """What was computed so far, and how long it took."""

    tokens: int = 0
    non_pad: int = 0
    trained: int = 0
    seconds: float = 0.0

    def add(self, batches: Sequence[Batch], seconds: float) -> None:
        """Count a window's batches (of this process)."""
        self.tokens += sum(batch.tokens for batch in batches)
        self.non_pad += sum(batch.non_pad for batch in batches)
        self.trained += sum(batch.trained for batch in batches)
        self.seconds += seconds

    def rates(self, processes: int) -> dict[str, float]:
        """Return tokens per second of all processes, by the three usual denominators."""
        counts = {"all": self.tokens, "non_pad": self.non_pad, "trained": self.trained}
        return {name: count * processes / max(self.seconds, 1e-9) for name, count in counts.items()}


@dataclass
class Run:
    """The parts of one run, and how far it is."""

    job: TrainJob
    out: Path
    emit: Emit
    accelerator: Accelerator
    loss: Any
    """:class:`LabelledLoss`, wrapped by Accelerate (autocast, and DDP on several processes)."""
    model: Any
    """The peft model inside it."""
    optimizer: Any
    plan: Plan
    identity: Mapping[str, Any]
    callbacks: Callbacks
    early: EarlyStopping
    watchdog: LossWatchdog
    meter: Meter = field(default_factory=Meter)
    losses: list[float] = field(default_factory=list)
    evals: list[dict[str, float]] = field(default_factory=list)
    stopped: str | None = None

    def report(self, moment: str, event: Mapping[str, Any]) -> bool:
        """Tell the parent and the callbacks, on the main process; return whether to stop."""
        if not self.accelerator.is_main_process:
            return False
        self.emit({"event": moment, **event})
        return self.callbacks.call(moment, event)


def prepare(
    job: TrainJob, train_rows: Sequence[Row], val_rows: Sequence[Row], out: Path, emit: Emit, data_digest: str
) -> Run:
    """Build model, optimizer and plan, in the order that makes two runs equal: seed first, adapter second."""
    precision = resolve_precision(job.precision)
    accelerator = Accelerator(
        mixed_precision="no" if precision == "fp32" else precision,
        log_with=list(job.trackers) or None,
        project_dir=job.logging_dir,
    )
    if accelerator.device.type == "cpu":
        torch.use_deterministic_algorithms(True)  # free here; on a GPU it costs speed and forbids some kernels
    torch.backends.cuda.matmul.allow_tf32 = job.tf32
    base = load_base(job, precision, accelerator.device)
    check_ids(base, [row.input_ids for row in (*train_rows, *val_rows)])
    set_seed(job.seed)
    model = add_adapter(base, job.lora)
    model.train()
    optimizer = build_optimizer(job.optim, model)
    loss, optimizer = accelerator.prepare(LabelledLoss(model), optimizer)
    run = Run(
        job=job,
        out=out,
        emit=emit,
        accelerator=accelerator,
        loss=loss,
        model=model,
        optimizer=optimizer,
        plan=plan(job, len(train_rows), len(val_rows), accelerator.num_processes),
        identity=identity(job, data_digest),
        callbacks=Callbacks(job.callbacks if accelerator.is_main_process else ()),
        early=EarlyStopping(job.early_stopping_patience),
        watchdog=LossWatchdog(job.loss_watchdog_threshold, job.loss_watchdog_patience),
    )
    if job.trackers:
        accelerator.init_trackers(job.tracker_project, init_kwargs=dict(job.tracker_options))
    trained = Trained.of(model)
    facts = {"precision": precision, "device": str(accelerator.device), "processes": accelerator.num_processes}
    shape = {"steps": run.plan.steps, "steps_per_epoch": run.plan.steps_per_epoch, "rows": len(train_rows)}
    run.report("start", {**shape, "val_rows": len(val_rows), **facts, **trained.figures()})
    return run
