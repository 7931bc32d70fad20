"""Training by hand: an adapter without a suite, a quick look for mistakes, rows learned by heart."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.config import RunConfig
from harness.errors import ConfigError
from harness.job.resolve import read_rows
from harness.models import HARNESS_FILE, resolve_base
from harness.protocols import OnEvent
from harness.store import Home
from harness.training import TrainJob, overfit_job, train_into, train_or_find

DEBUG_ROWS, DEBUG_STEPS = 8, 4


@dataclass(frozen=True)
class Trained:
    """What came of it, in lines for people."""

    title: str
    figures: Mapping[str, Any]
    ok: bool = True

    def lines(self) -> list[str]:
        """Return the title and the figures, a line each."""
        shown = [
            f"  {name}: {_figure(value)}"
            for name, value in self.figures.items()
            if isinstance(value, int | float | str)
        ]
        return [self.title, *shown]


def _figure(value: float | str) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def train_adapter(config: RunConfig, home: Home, on_event: OnEvent, *, fresh: bool = False) -> Trained:
    """Train the adapter that ``config`` describes, or find it.

    Raises:
        InputError: config, rows or base are wrong.
        TrainingError: training failed.
    """
    base = resolve_base(config.base_model, home, revision=config.revision_of_model, on_event=on_event)
    rows = read_rows(config, base)
    adapter = train_or_find(
        config, base, lambda: rows.encode(config, on_event), rows.digest, rows.renderer, home,
        on_event=on_event, fresh=fresh,
    )  # fmt: skip
    figures = json.loads((adapter.path / HARNESS_FILE).read_text(encoding="utf-8"))["figures"]
    return Trained(f"adapter {adapter.content_hash[:12]} in {config.output_dir or adapter.path}", figures)


def train_for_debugging(config: RunConfig, home: Home, on_event: OnEvent) -> Trained:
    """Train a few steps on a few rows, in one process, without reading or writing a cache of rows or adapters."""
    changed = config.model_copy(update={"dataset_prepared_path": None, "val_set_size": 0.0})
    return _aside(changed, home, on_event, DEBUG_ROWS, learn=False)


def debug_job(job: TrainJob) -> TrainJob:
    """Return ``job`` cut to a few steps that start afresh: no evaluation, no checkpoint is read or written."""
    return replace(
        job, max_steps=DEBUG_STEPS, evals_per_epoch=0, eval_steps=0, early_stopping_patience=0,
        checkpoints=None, resume_from=None,
    )  # fmt: skip


def train_by_heart(config: RunConfig, rows: int, home: Home, on_event: OnEvent) -> Trained:
    """Train until the first ``rows`` rows should be known by heart, and say whether they are.

    A model that cannot do that is trained on wrong rows, masks or settings.
    """
    changed = config.model_copy(update={"dataset_prepared_path": None, "val_set_size": 0.0})
    return _aside(changed, home, on_event, rows, learn=True)


def _aside(config: RunConfig, home: Home, on_event: OnEvent, count: int, *, learn: bool) -> Trained:
    """Train on the first ``count`` rows in a folder that is thrown away."""
    base = resolve_base(config.base_model, home, revision=config.revision_of_model, on_event=on_event)
    rows = read_rows(config, base)
    encoded = rows.encode(config, on_event)
    if learn and len(encoded.train) < count:
        raise ConfigError(f"--overfit {count}: the data holds only {len(encoded.train)} rows")
    encoded = replace(encoded, train=encoded.train[:count], val=())
    folder = Path(tempfile.mkdtemp(prefix="harness-"))
    try:
        (folder / "adapter").mkdir()
        figures = train_into(
            folder / "adapter", config, base, encoded, rows.renderer, folder / "files", on_event=on_event,
            adjust=(lambda job: overfit_job(job, count)) if learn else debug_job,
        )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not learn:
        return Trained(f"{DEBUG_STEPS} steps on {len(encoded.train)} rows went through; nothing was kept", figures)
    recall = figures["recall"]
    known, asked = recall["exact_rows"], recall["rows"]
    verdict = "it learns by heart" if known == asked else "it does NOT learn by heart: look at rows and masks"
    return Trained(f"{known} of {asked} rows are known by heart: {verdict}", {**figures, **recall}, known == asked)
