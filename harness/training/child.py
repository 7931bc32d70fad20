"""The training process: reads the job and the rows that the parent wrote, and runs the loop."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

from harness.process.job import Emit, job_main


def run(request: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Train as ``request`` says; the result is the figures."""
    import torch
    from transformers.utils import logging

    from harness.training.batching import read_rows
    from harness.training.job import TrainJob
    from harness.training.loop import train

    # bitsandbytes says at every 8-bit layer that it casts, and at import that it has no kernels from a hub: the last
    # lines of the log are for what went wrong
    getLogger("bitsandbytes").setLevel(ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # sums depend on how many threads share them: fixed by the machine, not by a variable somebody set
    torch.set_num_threads(max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    train_file, val_file = Path(request["train_rows"]), Path(request["val_rows"])
    digest = hashlib.sha256(train_file.read_bytes()).hexdigest()
    return train(
        TrainJob.from_json(request["job"]),
        read_rows(train_file),
        read_rows(val_file),
        Path(request["out"]),
        emit,
        data_digest=digest,
    )


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    job_main(run)
