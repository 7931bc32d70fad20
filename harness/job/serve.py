"""From a resolved target to an engine, and the proof that it serves that target."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.job.replies import FileEngine
from harness.job.request import RunRequest, Target
from harness.models import CANARY, merge_adapter
from harness.protocols import Engine, OnEvent
from harness.serving import EndpointEngine, LocalEngine, check_applied, make_engine
from harness.store import Home
from harness.types import Adapter, Base


def engine_for(request: RunRequest, target: Target, work: Path, on_event: OnEvent) -> Engine:
    """Return the unstarted engine for ``target``; ``work`` receives the logs of its server.

    Raises:
        EngineError: the engine asked for is not installed.
        DataError: the file of generations is wrong.
    """
    if request.generations is not None:
        return FileEngine(request.generations)
    if request.endpoint is not None:
        if request.model is None:
            raise ConfigError("--endpoint needs the name of the model there", hint="add --model NAME")
        return EndpointEngine(request.endpoint, request.model)
    if target.base is None:
        raise RuntimeError(f"{target.kind} has no base to serve")
    return local_engine(request, target.base, target.adapter, work, on_event)


def local_engine(
    request: RunRequest, base: Base, adapter: Adapter | None, work: Path, on_event: OnEvent
) -> LocalEngine:
    """Return the unstarted engine that serves a base, with or without an adapter, on this machine."""
    serve = request.serve()

    def merged() -> Path:
        if adapter is None:
            raise RuntimeError("there is no adapter to merge")
        return merge_adapter(base, adapter, request.home, dtype=serving_dtype(engine), on_event=on_event)

    engine = make_engine(
        serve, base, adapter, merged=merged, work=work,
        sequence_len=request.config.sequence_len if request.config else None,
        max_tokens=request.decoding().max_tokens,
    )  # fmt: skip
    return engine


def serving_dtype(engine: Engine) -> str:
    """Return the dtype in which the engine holds the weights."""
    return str(engine.identity["dtype"])


def check_served(
    engine: Engine, home: Home, base: Base, adapter: Adapter | None, fallback: Sequence[Sequence[int]]
) -> Mapping[str, Any]:
    """Hold the started engine against the canary; return the figures for the manifest (none without an adapter).

    ``fallback`` are rows of token ids for an adapter that brings no canary of its own.

    Raises:
        EngineError: the adapter is not applied.
    """
    if adapter is None or "adapter" not in engine.identity:
        return {}
    if engine.identity["adapter"] == "merged":
        folder = merge_adapter(base, adapter, home, dtype=serving_dtype(engine), on_event=lambda _: None)
        canary = json.loads((folder / CANARY).read_text(encoding="utf-8"))
        return check_applied(engine, canary["ids"], canary["base_logprobs"], canary["merged_logprobs"])
    return check_applied(engine, _canary_rows(adapter, fallback))


def _canary_rows(adapter: Adapter, fallback: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
    """Return the rows on which base and adapter are compared: some it was trained on, else the fallback."""
    try:
        rows = json.loads((adapter.path / CANARY).read_text(encoding="utf-8"))["ids"]
    except (OSError, ValueError, KeyError):
        return fallback
    return [[int(token) for token in row] for row in rows]
