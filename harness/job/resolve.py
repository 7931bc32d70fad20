"""From what was asked for to a model that can be served: find it, or train it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config import RunConfig
from harness.data import EncodedSet, Loaded, Renderer, choose_template, data_digest, encode_all, load_samples
from harness.errors import ConfigError
from harness.job.request import RunRequest, Target
from harness.models import HARNESS_FILE, read_adapter, resolve_base
from harness.protocols import OnEvent, Trainer
from harness.serving import check_servable
from harness.store import digest
from harness.training import run_training, train_or_find
from harness.types import Adapter, Base, Encoded


@dataclass(frozen=True)
class Rows:
    """The training rows of a config, read but not yet tokenised."""

    loaded: Loaded
    renderer: Renderer
    digest: str
    """Content key of everything the encoded rows depend on, except the tokenizer's files."""

    def encode(self, config: RunConfig, on_event: OnEvent) -> EncodedSet:
        """Render and tokenise, or take the prepared rows if their content still matches."""
        encoded = encode_all(self.loaded.samples, self.renderer, config)
        for note in encoded.notes:
            on_event({"event": "note", "message": note})
        if encoded.counts.get("dropped") or encoded.counts.get("truncated"):
            counted = ", ".join(f"{encoded.counts[name]} {name}" for name in ("truncated", "dropped"))
            longer = f"{encoded.counts['too_long']} rows are longer than sequence_len {config.sequence_len}"
            on_event({"event": "warning", "message": f"{longer}: {counted}"})
        return encoded


def read_rows(config: RunConfig, base: Base) -> Rows:
    """Read the config's data sets, and put base and template together.

    Raises:
        DataError: rows are wrong; all of them are named.
        TemplateError: there is no template, or it cannot be used.
    """
    loaded = load_samples(config.datasets).require()
    renderer = renderer_for(config, base, loaded)
    return Rows(loaded, renderer, data_digest(loaded.samples, renderer, config))


def renderer_for(config: RunConfig, base: Base, loaded: Loaded) -> Renderer:
    """Return the one renderer that training and serving of this config share."""
    return Renderer.from_folder(
        base.path, template=choose_template(config, loaded), special_tokens=config.special_token_map
    )


def _short(ref: str) -> str:
    return Path(ref).stem if ref.startswith("package://") else Path(ref).name


def base_of(request: RunRequest, on_event: OnEvent) -> Base:
    """Return the base model of a request, converted or looked up.

    Raises:
        ConfigError: nothing names it.
        ModelError: it cannot be used.
    """
    ref = request.base_model or (request.config.base_model if request.config else None)
    if ref is None and request.adapter:
        ref = base_named_by(request.adapter)
    if ref is None:
        raise ConfigError("no base model is named", hint="add --base-model FOLDER|HUB-ID, or --train-config FILE")
    revision = request.config.revision_of_model if request.config else None
    return resolve_base(ref, request.home, revision=revision, on_event=on_event)


def base_named_by(adapter: Path) -> str | None:
    """Return which base an adapter folder says it belongs to."""
    for name, field in ((HARNESS_FILE, "base_ref"), ("adapter_config.json", "base_model_name_or_path")):
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
        record = json.loads((adapter.path / HARNESS_FILE).read_text(encoding="utf-8"))
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
    base = base_of(request, on_event)
    if request.kind == "trained":
        return _trained_target(request, base, trainer, on_event)
    if request.kind == "base" or request.adapter is None:
        return _base_target(request, base)
    return _adapter_target(request, base, read_adapter(request.adapter, base, request.home))


def _base_target(request: RunRequest, base: Base) -> Target:
    """The base is asked with the template that the config trains with, so that the two can be compared."""
    renderer = _config_renderer(request, base)
    return Target(
        kind="base",
        label=f"base {_short(base.ref)}",
        model_hash=base.content_hash,
        base=base,
        template=renderer.template_text if renderer else None,
        special_tokens=request.config.special_token_map if request.config else {},
    )


def _adapter_target(request: RunRequest, base: Base, adapter: Adapter, *, trained_now: bool = False) -> Target:
    template, tokens = adapter.template, adapter.special_tokens
    if template is None and (renderer := _config_renderer(request, base)) is not None and request.config:
        template, tokens = renderer.template_text, request.config.special_token_map
    return Target(
        kind=request.kind,
        label=f"adapter {adapter.content_hash[:8]} on {_short(base.ref)}",
        model_hash=digest([base.content_hash, adapter.content_hash]),
        base=base,
        adapter=adapter,
        template=template,
        special_tokens=tokens,
        training=_training_figures(adapter),
        trained_now=trained_now,
    )


def _config_renderer(request: RunRequest, base: Base) -> Renderer | None:
    """Return the config's renderer; the rows are read because their format may call for a template."""
    if request.config is None:
        return None
    named = choose_template(request.config, None)
    loaded = Loaded(()) if named else load_samples(request.config.datasets)
    return renderer_for(request.config, base, loaded)


def _trained_target(request: RunRequest, base: Base, trainer: Trainer | None, on_event: OnEvent) -> Target:
    config = _required(request.config)
    check_servable(request.serve(), config.lora_r, config.lora_modules_to_save)
    rows = read_rows(config, base)
    trained_now = False

    def training(
        job: Any, train_rows: Sequence[Encoded], val_rows: Sequence[Encoded], out: Path, on_event: OnEvent
    ) -> Mapping[str, Any]:
        nonlocal trained_now
        trained_now = True
        return (trainer or run_training)(job, train_rows, val_rows, out, on_event)

    adapter = train_or_find(
        config, base, lambda: rows.encode(config, on_event), rows.digest, rows.renderer, request.home,
        trainer=training, on_event=on_event,
    )  # fmt: skip
    return _adapter_target(request, base, adapter, trained_now=trained_now)


def _required(config: RunConfig | None) -> RunConfig:
    if config is None:
        raise ConfigError("training needs a config", hint="add --train-config FILE")
    return config
