"""Serving: a base model, with or without an adapter, answers requests.

Making an engine is cheap; torch, vllm and transformers are imported only by the servers in their child processes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.protocols import Engine
from harness.serving.grammar import check_grammar
from harness.serving.plan import ServePlan, plan_serving
from harness.serving.vllm import VllmEngine
from harness.types import Adapter, Base

if TYPE_CHECKING:
    from harness.config import ServeConfig

__all__ = ["ServePlan", "VllmEngine", "check_grammar", "make_engine", "plan_serving"]


def make_engine(
    serve: ServeConfig,
    base: Base,
    adapter: Adapter | None,
    *,
    merged: Callable[[], Path] | None,
    work: Path,
    sequence_len: int | None = None,
    max_tokens: int = 256,
) -> Engine:
    """Return the unstarted engine that ``serve`` asks for.

    ``merged`` makes (or finds) the folder of the merged model, and is called at the start, only where the adapter
    is served merged. ``work`` receives the server's log. ``sequence_len`` and ``max_tokens`` size the context where
    ``serve.max_model_len`` does not.

    Raises:
        EngineError: the engine is not installed.
    """
    plan = plan_serving(serve, base, adapter, sequence_len=sequence_len, max_tokens=max_tokens)
    return VllmEngine(plan, base, adapter, merged=merged, work=work)
