"""Runs a training job in a child process tree, through ``accelerate launch``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import TrainingError
from harness.process.job import JobFailure, run_job
from harness.protocols import OnEvent
from harness.store import write_jsonl
from harness.training.job import TrainJob
from harness.types import Encoded, to_json

WORK = ".work"
LAUNCH_CONFIG = """\
compute_environment: LOCAL_MACHINE
distributed_type: 'NO'
mixed_precision: 'no'
num_machines: 1
num_processes: 1
use_cpu: false
debug: false
"""
"""Given to the launcher so that the user's own default Accelerate config is not read; the precision is the loop's."""

LESS_MEMORY = (
    "Lower micro_batch_size (and raise gradient_accumulation_steps by as much: the result is the same), lower "
    "sequence_len, or set gradient_checkpointing: true or adapter: qlora."
)


def run_training(
    job: TrainJob, train_rows: Sequence[Encoded], val_rows: Sequence[Encoded], out: Path, on_event: OnEvent
) -> Mapping[str, Any]:
    """Train ``job`` in a child process, write the adapter to ``out`` and return the figures.

    The child is gone when this returns or raises, whatever happens.

    Raises:
        TrainingError: training failed; says why in plain words, with the child's last lines where they help.
    """
    work = out / WORK
    work.mkdir(parents=True)
    try:
        (work / "accelerate.yml").write_text(LAUNCH_CONFIG, encoding="utf-8")
        request = {"job": to_json(job), "out": str(out)}
        for name, rows in (("train_rows", train_rows), ("val_rows", val_rows)):
            request[name] = str(work / f"{name}.jsonl")
            write_jsonl(work / f"{name}.jsonl", (as_line(row) for row in rows))
        launcher = ["accelerate.commands.launch", "--config_file", str(work / "accelerate.yml"), "--module"]
        argv = [sys.executable, "-m", *launcher, "harness.training.child"]
        result = run_job(argv, request, name="training", folder=work, on_event=on_event, env=job.environment)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if isinstance(result, JobFailure):
        raise training_error(result)
    return result


def as_line(row: Encoded) -> dict[str, Any]:
    """Return a row as :func:`harness.training.batching.row_from` reads it: ids, and the spans that are trained."""
    return {"id": row.sample_id, "input_ids": row.input_ids, "trained": list(_spans(row.labels))}


def _spans(labels: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the [start, end) spans of labels that are trained."""
    start = None
    for position, label in enumerate([*labels, -100]):
        if label != -100 and start is None:
            start = position
        elif label == -100 and start is not None:
            yield start, position
            start = None


def training_error(failure: JobFailure) -> TrainingError:
    """Return a failure of the child in the words of somebody who wants to train."""
    if failure.kind == "input":
        return TrainingError(failure.message, returncode=failure.returncode)
    words = {
        "memory": f"training ran out of memory ({failure.message}). {LESS_MEMORY}",
        "killed": f"{failure.message}. {LESS_MEMORY}",
        "disk": f"training could not save: {failure.message}. Free some space: `harness cache prune`.",
        "failed": f"training failed: {failure.message}",
    }
    return TrainingError(words[failure.kind], failure.tail, failure.returncode)
