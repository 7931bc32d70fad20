"""From a config to an adapter: find the one whose every input is the same, or train it now."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.config import RunConfig
from harness.data import EncodedSet, Renderer
from harness.errors import StoreError, TrainingError
from harness.models import ADAPTER_WEIGHTS, CANARY, HARNESS_FILE, adapter_hash, read_adapter
from harness.protocols import OnEvent, Trainer
from harness.store import FolderCache, Home, digest, file_digest, folder_digest, versions, write_atomic
from harness.training.configure import train_job
from harness.training.job import TrainJob
from harness.training.launch import run_training
from harness.types import Adapter, Base, Encoded, to_json

LOOP_VERSION = 1
"""Raised when the same job comes to other weights, so that old adapters are not found."""
PACKAGES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes")
CANARY_ROWS = 4
CANARY_TOKENS = 256

Encode = Callable[[], EncodedSet]


def adapter_key(config: RunConfig, base: Base, data_digest: str, template: str) -> str:
    """Return the content key of the adapter that a config describes.

    ``data_digest`` covers the rows and how they are rendered, except the tokenizer's files.
    """
    parts = {
        "loop": LOOP_VERSION,
        "versions": versions(PACKAGES),
        "base": base.content_hash,
        "tokenizer": base.tokenizer_hash,
        "data": data_digest,
        "template": template,
        "config": config.affecting("weights"),
    }
    if config.lora_model_dir:
        parts["continued"] = file_digest(Path(config.lora_model_dir) / ADAPTER_WEIGHTS)
    if config.resume_from_checkpoint:
        parts["resumed"] = folder_digest(Path(config.resume_from_checkpoint))
    files = [
        Path(where) for where, _, _ in (name.rpartition(":") for name in config.callbacks) if where.endswith(".py")
    ]
    if files:
        parts["callbacks"] = [file_digest(file) for file in files]
    return digest(parts)


def train_or_find(
    config: RunConfig,
    base: Base,
    encode: Encode,
    data_digest: str,
    renderer: Renderer,
    home: Home,
    *,
    trainer: Trainer = run_training,
    on_event: OnEvent,
    fresh: bool = False,
) -> Adapter:
    """Return the adapter that ``config`` describes, trained now or before; ``output_dir`` receives a copy.

    Args:
        config: what to train.
        base: the model it is put on.
        encode: returns the rows; called only if there is something to train.
        data_digest: content key of what ``encode`` returns.
        renderer: the template the rows are written with.
        home: holds the adapters.
        trainer: does the training.
        on_event: receives progress.
        fresh: train even if it is there.

    Raises:
        TrainingError: training failed; no half entry is left.
        StoreError: no space to save it.
    """
    key = adapter_key(config, base, data_digest, renderer.template_text)
    cache = FolderCache(home, "adapters", on_warning=lambda text: on_event({"event": "warning", "message": text}))
    if fresh and cache.find(key) and cache.remove(key) is None:
        raise StoreError(
            f"the adapter {key[:12]} is in use by process {cache.users(key)}: it cannot be trained anew now"
        )
    own = home.root / "checkpoints" / key
    files = Path(config.output_dir) if config.output_dir else own

    def build(folder: Path) -> None:
        train_into(folder, config, base, encode(), renderer, files, trainer=trainer, on_event=on_event)

    describe = f"{config.adapter} adapter on {base.ref}"
    path = cache.get_or_build(key, describe, build, info={"base": base.ref, "config": str(config.source or "")})
    shutil.rmtree(own, ignore_errors=True)
    if config.output_dir:
        copy_adapter(path, Path(config.output_dir))
    return read_adapter(path, None, home)


def train_into(
    folder: Path,
    config: RunConfig,
    base: Base,
    encoded: EncodedSet,
    renderer: Renderer,
    files: Path,
    *,
    trainer: Trainer = run_training,
    on_event: OnEvent,
    adjust: Callable[[TrainJob], TrainJob] = lambda job: job,
) -> Mapping[str, Any]:
    """Train into ``folder``, without a cache, and return the figures.

    ``files`` receives checkpoints and logs; ``adjust`` may change the job (see :func:`overfit_job`).

    Raises:
        TrainingError: training failed.
    """
    job = adjust(train_job(config, base, files))
    figures = trainer(job, encoded.train, encoded.val, folder, on_event)
    try:
        found = adapter_hash(folder)
    except (OSError, ValueError, StoreError) as error:
        raise TrainingError(f"the trainer left no adapter in {folder}: {error}") from error
    adapter = Adapter(
        path=Path(),
        base_ref=base.ref,
        base_hash=base.content_hash,
        kind=config.adapter,
        content_hash=found,
        config_hash=digest(config.affecting("weights")),
        data_hash=encoded.digest,
        template=renderer.template_text,
        special_tokens=config.special_token_map,
    )
    told = to_json(replace(job, environment={}))  # the environment may hold a tracker's password
    record = {"adapter": to_json(adapter), "figures": to_json(figures), "job": told, "versions": versions()}
    (folder / HARNESS_FILE).write_text(json.dumps(record, indent=2), encoding="utf-8")
    (folder / CANARY).write_text(json.dumps({"ids": _canary(encoded.train)}), encoding="utf-8")
    return figures


def _canary(rows: Sequence[Encoded]) -> list[list[int]]:
    """Return the ends of a few rows: what was trained stands there, so base and adapter differ most."""
    shortest = sorted(rows, key=lambda row: len(row.input_ids))[:CANARY_ROWS]
    return [list(row.input_ids[:CANARY_TOKENS]) for row in shortest]


def copy_adapter(source: Path, target: Path) -> None:
    """Copy an adapter's files into the user's folder, file by file, unless they are there already.

    Raises:
        StoreError: they cannot be written.
    """
    for file in sorted(source.iterdir()):
        if file.name.startswith((".", "entry.")) or not file.is_file():
            continue
        copy = target / file.name
        if not copy.is_file() or file_digest(copy) != file_digest(file):
            write_atomic(copy, file.read_bytes(), f"a copy of the adapter's {file.name}")


OVERFIT_EPOCHS = 60
KNOWN_BY_HEART = 0.005
"""Mean loss per token from which on nothing more is to be learned."""


def overfit_job(job: TrainJob, rows: int) -> TrainJob:
    """Return ``job`` changed to learn ``rows`` rows by heart: can it? If not, rows or masks are wrong.

    All rows are in every step, there is no dropout, no decay and no held-out part, and it stops when the
    loss is next to nothing. The figures get
    ``recall``: rows, ``exact_rows`` (every trained token is the model's first choice), ``token_accuracy``
    and ``loss``.
    """
    micro = min(job.micro_batch_size, rows)
    return replace(
        job,
        lora=replace(job.lora, dropout=0.0),
        optim=replace(job.optim, schedule="constant_with_warmup", warmup_steps=5, weight_decay=0.0),
        micro_batch_size=micro,
        gradient_accumulation_steps=-(-rows // micro),
        num_epochs=OVERFIT_EPOCHS,
        max_steps=0,
        evals_per_epoch=0,
        eval_steps=0,
        checkpoints=None,
        resume_from=None,
        early_stopping_patience=0,
        stop_below_loss=KNOWN_BY_HEART,
        recall=True,
    )
