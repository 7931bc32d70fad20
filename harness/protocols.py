"""The narrow interfaces through which the rooms are handed to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.types import Encoded, Reply, Request

OnReply = Callable[[Request, Reply], None]
OnEvent = Callable[[Mapping[str, Any]], None]
"""Receives progress events of a long job: ``{"event": "step", "step": 3, "loss": 1.2, …}``."""


@runtime_checkable
class Engine(Protocol):
    """Something that answers requests with one served model."""

    @property
    def name(self) -> str:
        """``vllm``, ``transformers`` or ``endpoint`` (or the name of a plugin's own)."""

    def describe(self) -> Mapping[str, Any]:
        """Return what the manifest records: versions, dtype, how the adapter is served, sampling."""

    def generate(self, requests: Sequence[Request], on_reply: OnReply) -> None:
        """Answer all requests, many at once; call ``on_reply`` for each as it lands, from one thread.

        A request that the engine refuses lands as a reply with ``error`` set.

        Raises:
            EngineError: the engine died or cannot be reached; replies that landed were delivered.
        """

    def score(self, token_ids: Sequence[int]) -> list[float]:
        """Return the logprob of each token given those before it, natural log.

        ``token_ids`` has length T, the result T - 1 (the first token has no condition).
        """

    def close(self) -> None:
        """Stop the engine and everything it started. May be called twice."""


@runtime_checkable
class Trainer(Protocol):
    """Something that turns encoded rows into an adapter folder."""

    def __call__(
        self, job: Any, train_rows: Sequence[Encoded], val_rows: Sequence[Encoded], out: Path, on_event: OnEvent
    ) -> Mapping[str, Any]:
        """Write a peft adapter to ``out`` and return the figures for the manifest.

        ``job`` is a :class:`harness.training.TrainJob`.

        Raises:
            TrainingError: training failed; nothing usable lies in ``out``.
        """
