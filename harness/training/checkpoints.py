"""Checkpoints: ``checkpoint-<step>`` folders that are either whole or not there.

A checkpoint is an adapter in peft's layout (it can be served as it is) with the optimizer's state and
what the loop needs to go on. Order of the data, learning rate and dropout are functions of the step, so
there is nothing else to keep.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from harness.errors import TrainingError
from harness.training.job import LATEST, TrainJob
from harness.training.model import save_adapter
from harness.types import to_json

NAME = re.compile(r"checkpoint-(\d+)")
OPTIMIZER, STATE = "optimizer.pt", "state.json"


def identity(job: TrainJob, data_digest: str) -> dict[str, Any]:
    """Return what tells one training from another, as plain JSON.

    ``shape`` must be the same for a checkpoint to fit at all; ``course`` (how long, how fast) may differ
    where the user names the checkpoint, because then its content is known to be part of the result.
    """
    shape = {
        "base": job.base_ref,
        "data": data_digest,
        "lora_r": job.lora.r,
        "lora_alpha": job.lora.alpha,
        "rslora": job.lora.rslora,
        "quantised": [job.load_in_4bit, job.load_in_8bit],
        "optimizer": job.optim.name,
        "micro_batch_size": job.micro_batch_size,
        "gradient_accumulation_steps": job.gradient_accumulation_steps,
        "group_by_length": job.group_by_length,
        "seed": job.seed,
        "data_seed": job.data_seed,
    }
    course = {"lora": job.lora, "optim": job.optim, "num_epochs": job.num_epochs, "max_steps": job.max_steps}
    return {"shape": shape, "course": to_json({**course, "precision": job.precision})}


def save_checkpoint(
    folder: Path, step: int, model: Any, optimizer: torch.optim.Optimizer, state: Mapping[str, Any], job: TrainJob
) -> Path:
    """Write ``folder/checkpoint-<step>`` atomically, then prune to ``save_total_limit``."""
    target = folder / f"checkpoint-{step}"
    partial = folder / f".checkpoint-{step}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        save_adapter(model, partial, job.base_ref)
        torch.save(optimizer.state_dict(), partial / OPTIMIZER)
        (partial / STATE).write_text(json.dumps({"step": step, **state}), encoding="utf-8")
        for path in partial.iterdir():
            _sync(path)
        shutil.rmtree(target, ignore_errors=True)  # left by an earlier run over the same folder
        partial.rename(target)
        _sync(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if job.save_total_limit:
        for old in checkpoints(folder)[: -job.save_total_limit]:
            shutil.rmtree(old)
    return target


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in ``folder``, oldest step first."""
    found = [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def find_checkpoint(job: TrainJob, expected: Mapping[str, Any]) -> Path | None:
    """Return the checkpoint to resume from; None: start at the beginning.

    ``latest`` is the newest one of this very training; others in the folder are passed over.

    Raises:
        TrainingError: the one that was named is not there or not whole.
    """
    if job.resume_from is None:
        return None
    if job.resume_from == LATEST:
        found = checkpoints(Path(job.checkpoints)) if job.checkpoints else []
        return next((path for path in reversed(found) if _state(path)["identity"] == expected), None)
    path = Path(job.resume_from)
    missing = [name for name in (OPTIMIZER, STATE, "adapter_model.safetensors") if not (path / name).is_file()]
    if missing:
        raise TrainingError(f"resume_from_checkpoint: {path} is not a checkpoint: {', '.join(missing)} missing")
    return path


def _state(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((path / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path / STATE} cannot be read: {error}. Remove the checkpoint.") from error
    return state


def load_checkpoint(
    path: Path, model: Any, optimizer: torch.optim.Optimizer, expected: Mapping[str, Any]
) -> dict[str, Any]:
    """Put weights and optimizer state back; return the loop's state.

    Raises:
        TrainingError: it comes from another base, other data or other settings.
    """
    state = _state(path)
    found = state["identity"]["shape"]
    different = [
        f"{key}: {found.get(key)!r} there, {value!r} now"
        for key, value in expected["shape"].items()
        if found.get(key) != value
    ]
    if different:
        raise TrainingError(
            f"{path} cannot be continued, it was made with other settings: {'; '.join(different)}. "
            "Train from the beginning, or use lora_model_dir to start from its weights only."
        )
    load_weights(path, model)
    optimizer.load_state_dict(torch.load(path / OPTIMIZER, weights_only=True))
    return state


def load_weights(folder: Path, model: Any) -> None:
    """Put the adapter weights of ``folder`` into ``model``."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))
