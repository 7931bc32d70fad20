"""The training loop, top to bottom.

A *step* is one optimizer step over a *window* of rows; a window is cut into *micro-batches* that fit in
memory. The loss is a sum over labelled tokens, divided by the number of labelled tokens in the whole
window, on all processes: however the window is cut, the gradient is the same.

It knows nothing of config files, caches or pytest: rows and a :class:`TrainJob` come in, an adapter
folder and figures come out.
"""

from __future__ import annotations

import math
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from harness.errors import TrainingError
from harness.training.batching import Batch, Row, collate, idle_batch, windows
from harness.training.checkpoints import find_checkpoint, load_checkpoint, load_weights, save_checkpoint
from harness.training.job import TrainJob
from harness.training.measure import evaluate, recall
from harness.training.model import Trained, save_adapter
from harness.training.run import Emit, Meter, Run, prepare
from harness.training.schedule import learning_rate


def train(
    job: TrainJob, train_rows: Sequence[Row], val_rows: Sequence[Row], out: Path, emit: Emit, *, data_digest: str = ""
) -> dict[str, Any]:
    """Train an adapter on ``train_rows``, write it to ``out`` and return the figures of the run.

    Raises:
        TrainingError: the job cannot be done as asked, or the loss went wrong.
    """
    began = time.monotonic()
    run = prepare(job, train_rows, val_rows, out, emit, data_digest)
    rank, world = run.accelerator.process_index, run.accelerator.num_processes
    lengths = [row.length for row in train_rows]
    start = resume(run)

    logged_loss, logged_tokens = 0.0, 0
    for window in windows(job, train_rows, run.plan.steps, start=start, world=world):
        step_began = time.monotonic()
        step = window.step + 1
        # dropout is a function of (seed, step, rank): a resumed run draws what an uninterrupted one would
        torch.manual_seed(((job.seed * 1_000_003 + step) * 1_009 + rank) % 2**63)
        rate = learning_rate(job.optim, window.step, run.plan.steps)
        for group in run.optimizer.param_groups:
            group["lr"] = rate

        batches = [
            collate([train_rows[i] for i in rows], job) if rows else idle_batch(train_rows[window.rows[0]], job)
            for rows in window.micro_batches(lengths, job.micro_batch_size, rank, world)
        ]
        # every process knows the whole window, so nobody has to ask the others how many labels it has
        trained_tokens = sum(train_rows[i].trained for i in window.rows)
        loss = backward(run, batches, trained_tokens, step)
        norm = clip(run, [train_rows[i].id for i in window.rows], step)
        run.optimizer.step()
        run.optimizer.zero_grad()

        run.meter.add(batches, time.monotonic() - step_began)
        run.losses.append(loss)
        run.watchdog.see(loss, step)
        if loss < job.stop_below_loss:
            run.stopped = f"the loss fell below {job.stop_below_loss:g} at step {step}"
        logged_loss, logged_tokens = logged_loss + loss * trained_tokens, logged_tokens + trained_tokens
        if step % job.logging_steps == 0 or step == run.plan.steps or run.stopped:
            log_step(run, step, logged_loss / logged_tokens, rate, norm)
            logged_loss, logged_tokens = 0.0, 0
        if step in run.plan.eval_at:
            note_evaluation(run, step, evaluate(run, val_rows))
        if step in run.plan.save_at:
            save(run, step)
        if run.stopped:
            break
    return finish(run, train_rows, time.monotonic() - began)


def resume(run: Run) -> int:
    """Put a checkpoint back if one is asked for; return the number of steps already done."""
    path = find_checkpoint(run.job, run.identity)
    if path is None:
        return 0
    state = load_checkpoint(path, run.model, run.optimizer, run.identity)
    step = int(state["step"])
    if step > run.plan.steps:
        raise TrainingError(
            f"{path} is {step} steps into training, and num_epochs or max_steps ask for {run.plan.steps}"
        )
    run.meter, run.losses, run.evals = Meter(**state["meter"]), state["losses"], state["evals"]
    run.early.best, run.early.since, run.watchdog.above = state["best"], state["since"], state["above"]
    if not best_folder(run).is_dir():  # the checkpoint was moved here without it
        run.early.best, run.early.since = math.inf, 0
    run.report("resume", {"step": step, "path": str(path)})
    return step


def backward(run: Run, batches: Sequence[Batch], trained_tokens: int, step: int) -> float:
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
    if not window.isfinite().all():
        rows = [
            row for loss, batch in zip(window, batches, strict=True) if not loss.isfinite() for row in batch.row_ids
        ]
        raise not_finite("loss", float(window.sum()), rows, step)
    return float(accelerator.reduce(window.sum(), "sum")) / trained_tokens


def clip(run: Run, rows: Sequence[str], step: int) -> float:
    """Clip the gradient and return the length that it had.

    Raises:
        TrainingError: it is not finite; names the rows of the window.
    """
    longest = run.job.optim.max_grad_norm or math.inf
    norm = float(run.accelerator.clip_grad_norm_(run.loss.parameters(), longest))
    # with fp16 a gradient overflows now and then by design: the loss scale then falls, and the step is skipped
    if not math.isfinite(norm) and run.accelerator.scaler is None:
        raise not_finite("gradient", norm, rows, step)
    return norm


def not_finite(what: str, value: float, rows: Sequence[str], step: int) -> TrainingError:
    """Return the error for a loss or a gradient that is NaN or infinite."""
    return TrainingError(
        f"the {what} is {value} in step {step}, in a batch of these rows: {', '.join(rows)}. Lower learning_rate, or "
        "train in fp32 (bf16: false); if it is the first step, look at the rows with `harness preprocess`."
    )


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
    return Path(run.job.checkpoints or run.out) / ".best"


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
    if run.early.best < math.inf:
        load_weights(best_folder(run), run.model)
        run.accelerator.wait_for_everyone()
        shutil.rmtree(best_folder(run), ignore_errors=True)
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
