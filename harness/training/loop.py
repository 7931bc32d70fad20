"""The training loop, top to bottom.

A *step* is one optimizer step over a *window* of rows; a window is cut into *micro-batches* that fit in
memory. The loss is a sum over labelled tokens, divided by the number of labelled tokens in the whole
window, on all processes: however the window is cut, the gradient is the same.

It knows nothing of config files, caches or pytest: rows and a :class:`TrainJob` come in, an adapter
folder and figures come out.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from harness.errors import TrainingError
from harness.training.batching import Batch, Row, collate, eval_batches, idle_batch, windows
from harness.training.callbacks import Callbacks
from harness.training.checkpoints import find_checkpoint, identity, load_checkpoint, load_weights, save_checkpoint
from harness.training.job import TrainJob
from harness.training.model import (
    LabelledLoss,
    Trained,
    add_adapter,
    check_ids,
    load_base,
    resolve_precision,
    save_adapter,
)
from harness.training.optimizers import build_optimizer
from harness.training.schedule import Plan, learning_rate, plan
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


def train(
    job: TrainJob, train_rows: Sequence[Row], val_rows: Sequence[Row], out: Path, emit: Emit, *, data_digest: str = ""
) -> dict[str, Any]:
    """Train an adapter on ``train_rows``, write it to ``out`` and return the figures of the run.

    Raises:
        TrainingError: the job cannot be done as asked, or the loss went wrong.
    """
    began = time.monotonic()
    run = prepare(job, train_rows, val_rows, out, emit, data_digest)
    accelerator, world = run.accelerator, run.accelerator.num_processes
    lengths = [row.length for row in train_rows]
    start = resume(run)

    logged_loss, logged_tokens = 0.0, 0
    for window in windows(job, train_rows, run.plan.steps, start=start, world=world):
        step_began = time.monotonic()
        step = window.step + 1
        # dropout is a function of (seed, step, rank): a resumed run draws what an uninterrupted one would
        torch.manual_seed(((job.seed * 1_000_003 + step) * 1_009 + accelerator.process_index) % 2**63)
        rate = learning_rate(job.optim, window.step, run.plan.steps)
        for group in run.optimizer.param_groups:
            group["lr"] = rate

        rows_of_batches = window.micro_batches(lengths, job.micro_batch_size, accelerator.process_index, world)
        batches = [
            collate([train_rows[i] for i in rows], job) if rows else idle_batch(train_rows[window.rows[0]], job)
            for rows in rows_of_batches
        ]
        # every process knows the whole window, so nobody has to ask the others how many labels it has
        trained_tokens = sum(train_rows[i].trained for i in window.rows)
        loss = backward(run, batches, trained_tokens)
        norm = accelerator.clip_grad_norm_(run.loss.parameters(), job.optim.max_grad_norm or float("inf"))
        run.optimizer.step()
        run.optimizer.zero_grad()

        run.meter.add(batches, time.monotonic() - step_began)
        run.losses.append(loss)
        run.watchdog.see(loss, step)
        logged_loss, logged_tokens = logged_loss + loss * trained_tokens, logged_tokens + trained_tokens
        if step % job.logging_steps == 0 or step == run.plan.steps:
            log_step(run, step, logged_loss / logged_tokens, rate, float(norm))
            logged_loss, logged_tokens = 0.0, 0
        if step in run.plan.eval_at:
            note_evaluation(run, step, evaluate(run, val_rows))
        if step in run.plan.save_at:
            save(run, step)
        if run.stopped:
            break
    return finish(run, train_rows, time.monotonic() - began)


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


def resume(run: Run) -> int:
    """Put a checkpoint back if one is asked for; return the number of steps already done."""
    path = find_checkpoint(run.job)
    if path is None:
        return 0
    state = load_checkpoint(path, run.model, run.optimizer, run.identity)
    run.meter, run.losses, run.evals = Meter(**state["meter"]), state["losses"], state["evals"]
    run.early.best, run.early.since, run.watchdog.above = state["best"], state["since"], state["above"]
    run.report("resume", {"step": state["step"], "path": str(path)})
    return int(state["step"])


def backward(run: Run, batches: Sequence[Batch], trained_tokens: int) -> float:
    """Add up the gradient of a window and return its mean loss per labelled token over all processes.

    Raises:
        TrainingError: the loss of a micro-batch is not finite; names its rows.
    """
    accelerator, world = run.accelerator, run.accelerator.num_processes
    sums = []
    for number, batch in enumerate(batches, start=1):
        last = number == len(batches)
        with nullcontext() if last else accelerator.no_sync(run.loss):
            loss = run.loss(batch.input_ids.to(accelerator.device), batch.labels.to(accelerator.device))
            # DDP averages gradients over processes: times `world` makes it the sum again
            accelerator.backward(loss * (world / trained_tokens))
        sums.append(loss.detach())
    window = torch.stack(sums)
    if not torch.isfinite(window).all():
        rows = [
            row for loss, batch in zip(window, batches, strict=True) if not loss.isfinite() for row in batch.row_ids
        ]
        raise TrainingError(
            f"the loss is {window.sum().item()} in step {len(run.losses) + 1}, in a micro-batch of these rows: "
            f"{', '.join(rows)}. Lower learning_rate, set max_grad_norm, or take fp32; if it is the first step, "
            "look at the rows with `harness preprocess`."
        )
    return float(accelerator.reduce(window.sum(), "sum")) / trained_tokens


def log_step(run: Run, step: int, loss: float, rate: float, norm: float) -> None:
    """Report a step (its loss is the mean since the last report) to parent, callbacks and trackers."""
    rates = run.meter.rates(run.accelerator.num_processes)
    event = {
        "step": step,
        "steps": run.plan.steps,
        "epoch": step / run.plan.steps_per_epoch,
        "loss": loss,
        "learning_rate": rate,
        "grad_norm": norm,
        "tokens_per_second": rates["all"],
    }
    if run.report("step", event):
        run.stopped = f"a callback stopped it at step {step}"
    run.accelerator.log({"train/loss": loss, "train/learning_rate": rate, "train/grad_norm": norm}, step=step)


@torch.no_grad()
def evaluate(run: Run, rows: Sequence[Row]) -> float:
    """Return the mean loss per labelled token over ``rows``, with dropout off."""
    accelerator = run.accelerator
    mine = sorted(rows, key=lambda row: row.length)[accelerator.process_index :: accelerator.num_processes]
    loss = accelerator.unwrap_model(run.loss, keep_fp32_wrapper=True)
    total = torch.zeros((), device=accelerator.device)
    run.model.eval()
    for batch in eval_batches(mine, run.job):
        total += loss(batch.input_ids.to(accelerator.device), batch.labels.to(accelerator.device))
    run.model.train()
    return float(accelerator.reduce(total, "sum")) / sum(row.trained for row in rows)


def note_evaluation(run: Run, step: int, loss: float) -> None:
    """Record an evaluation, keep the best weights, and see whether to stop."""
    run.evals.append({"step": step, "loss": loss})
    if run.report("eval", {"step": step, "loss": loss}):
        run.stopped = f"a callback stopped it at step {step}"
    run.accelerator.log({"eval/loss": loss}, step=step)
    if not run.early.patience:
        return
    if run.early.see(loss) and run.accelerator.is_main_process:
        save_adapter(run.model, best_folder(run), run.job.base_ref)
    if run.early.stop:
        run.stopped = f"the eval loss did not fall for {run.early.patience} evaluations; the best weights are kept"


def best_folder(run: Run) -> Path:
    """Where the best weights so far lie while early stopping watches."""
    return Path(run.job.checkpoints or run.out.parent) / "best"


def save(run: Run, step: int) -> None:
    """Write a checkpoint, on the main process."""
    if run.accelerator.is_main_process:
        state = {
            "identity": run.identity,
            "meter": vars(run.meter),
            "losses": run.losses,
            "evals": run.evals,
            "best": run.early.best,
            "since": run.early.since,
            "above": run.watchdog.above,
        }
        folder = Path(run.job.checkpoints or run.out)
        path = save_checkpoint(folder, step, run.model, run.optimizer, state, run.job)
        run.report("save", {"step": step, "path": str(path)})
    run.accelerator.wait_for_everyone()


def finish(run: Run, train_rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    """Write the adapter and return the figures."""
    if run.early.patience and best_folder(run).is_dir():
        load_weights(best_folder(run), run.model)
    if run.accelerator.is_main_process:
        save_adapter(run.model, run.out, run.job.base_ref)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    figures: dict[str, Any] = {
        "steps": len(run.losses),
        "losses": run.losses,
        "evals": run.evals,
        "tokens": {"all": run.meter.tokens, "non_pad": run.meter.non_pad, "trained": run.meter.trained},
        "tokens_per_second": run.meter.rates(run.accelerator.num_processes),
        "train_seconds": run.meter.seconds,
        "seconds": seconds,
        "peak_memory_bytes": peak,
        "threads": torch.get_num_threads(),
        "precision": str(run.accelerator.mixed_precision).replace("no", "fp32"),
        "stopped": run.stopped,
        **Trained.of(run.model).figures(),
    }
    if torch.cuda.is_available():
        figures["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated()
    if run.job.recall:
        figures["recall"] = recall(run, train_rows)
    run.report("end", figures)
    run.accelerator.end_training()
    return figures


@torch.no_grad()
def recall(run: Run, rows: Sequence[Row]) -> dict[str, float]:
    """Return how much of the training rows the model gives back, each token predicted from the true ones before."""
    loss = run.accelerator.unwrap_model(run.loss, keep_fp32_wrapper=True)
    run.model.eval()
    right, whole, total = 0, 0, 0.0
    for row in rows:
        batch = collate([row], run.job)
        ids, labels = batch.input_ids.to(run.accelerator.device), batch.labels.to(run.accelerator.device)
        with run.accelerator.autocast():
            logits, targets = loss.labelled_logits(ids, labels)
        hits = logits.argmax(-1) == targets
        right, whole = right + int(hits.sum()), whole + int(hits.all())
        total += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
    trained = sum(row.trained for row in rows)
    return {"rows": len(rows), "exact_rows": whole, "token_accuracy": right / trained, "loss": total / trained}
