"""Serving: a base model, with or without an adapter, answers requests.

Making an engine is cheap; torch, vllm and transformers are imported only by the servers in their child processes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.serving.endpoint import EndpointEngine
from harness.serving.foreground import Served, chat_stream, serve_foreground
from harness.serving.grammar import check_grammar
from harness.serving.liveness import check_applied
from harness.serving.local import LocalEngine
from harness.serving.plan import ServePlan, check_servable, plan_serving
from harness.serving.transformers import TransformersEngine
from harness.serving.vllm import VllmEngine
from harness.types import Adapter, Base

if TYPE_CHECKING:
    from harness.config import ServeConfig

__all__ = [
    "EndpointEngine",
    "LocalEngine",
    "ServePlan",
    "Served",
    "TransformersEngine",
    "VllmEngine",
    "chat_stream",
    "check_applied",
    "check_grammar",
    "check_servable",
    "make_engine",
    "plan_serving",
    "serve_foreground",
]


def make_engine(
    serve: ServeConfig,
    base: Base,
    adapter: Adapter | None,
    *,
    merged: Callable[[], Path] | None,
    work: Path,
    sequence_len: int | None = None,
    max_tokens: int = 256,
) -> LocalEngine:
    """Return the unstarted engine that ``serve`` asks for.

    ``merged`` makes (or finds) the folder of the merged model, and is called at the start, only where the adapter
    is served merged. ``work`` receives the server's log. ``sequence_len`` and ``max_tokens`` size the context where
    ``serve.max_model_len`` does not.

    Raises:
        EngineError: the engine is not installed.
    """
    plan = plan_serving(serve, base, adapter, sequence_len=sequence_len, max_tokens=max_tokens)
    kind = VllmEngine if plan.engine == "vllm" else TransformersEngine
    return kind(plan, base, adapter, merged=merged, work=work)
