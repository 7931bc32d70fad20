"""From what was asked for to a model that can be served: find it, or train it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.config import RunConfig
from harness.data import EncodedSet, Loaded, Renderer, choose_template, encode_all, load_samples
from harness.errors import ConfigError, ModelError
from harness.job.request import RunRequest, Target
from harness.models import read_adapter, resolve_base
from harness.protocols import OnEvent, Trainer
from harness.store import Home, digest
from harness.training import run_training, train_or_find
from harness.types import Adapter, Base


def training_rows(config: RunConfig) -> Loaded:
    """Read the config's data sets.

    Raises:
        DataError: rows are wrong; all of them are named.
    """
    loaded = load_samples(config.datasets)
    loaded.require()
    return loaded


def renderer_for(config: RunConfig, base: Base, loaded: Loaded) -> Renderer:
    """Return the one renderer that training and serving of this config share."""
    template = choose_template(config, loaded)
    return Renderer.from_folder(base.path, template=template, special_tokens=config.special_token_map)


def prepare_rows(config: RunConfig, base: Base, loaded: Loaded, home: Home) -> tuple[Renderer, EncodedSet]:
    """Render and tokenise the rows, or take the prepared ones if their content still matches."""
    renderer = renderer_for(config, base, loaded)
    return renderer, encode_all(loaded.samples, renderer, config)


def _short(ref: str) -> str:
    return Path(ref).stem if ref.startswith("package://") else Path(ref).name


def _base_of(request: RunRequest, on_event: OnEvent) -> Base:
    ref = request.base_model or (request.config.base_model if request.config else None)
    if ref is None and request.adapter:
        ref = _base_named_by(request.adapter)
    if ref is None:
        raise ConfigError("no base model is named", hint="add --base-model FOLDER|HUB-ID|package://…, or --train-config FILE")
    revision = request.config.revision_of_model if request.config else None
    return resolve_base(ref, request.home, revision=revision, on_event=on_event)


def _base_named_by(adapter: Path) -> str | None:
    """Read which base an adapter folder says it belongs to."""
    for name, field in (("harness.json", "base_ref"), ("adapter_config.json", "base_model_name_or_path")):
        try:
            record = json.loads((adapter / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        ref = record.get("adapter", record).get(field)
        if isinstance(ref, str) and ref:
            return ref
    return None


def _training_figures(adapter: Adapter) -> Mapping[str, Any]:
    try:
        record = json.loads((adapter.path / "harness.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    figures = record.get("figures", {})
    return figures if isinstance(figures, dict) else {}


def resolve_target(request: RunRequest, trainer: Trainer | None, on_event: OnEvent) -> Target:
    """Return the model under test: found in a cache, read from disk, or trained now.

    Raises:
        InputError: config, rows, base or adapter are wrong; all problems at once.
        TrainingError: training failed.
    """
    if request.kind == "generations":
        path = request.generations
        return Target("generations", f"replies of {path}", digest(["generations", str(path)]))
    if request.kind == "endpoint":
        label = f"{request.model} at {request.endpoint}"
        return Target("endpoint", label, digest(["endpoint", request.endpoint, request.model]))
    base = _base_of(request, on_event)
    if request.kind == "trained":
        return _trained_target(request, base, trainer, on_event)
    template, tokens = _template_of(request)
    if request.kind == "base":
        label = f"base {_short(base.ref)}"
        return Target("base", label, base.content_hash, base, template=template, special_tokens=tokens)
    assert request.adapter is not None
    adapter = read_adapter(request.adapter, base, request.home)
    return _adapter_target("adapter", base, adapter, template, tokens)
