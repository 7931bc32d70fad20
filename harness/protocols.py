"""The narrow interfaces through which the rooms are handed to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.types import Encoded, Reply, Request

OnReply = Callable[[Request, Reply], None]
OnEvent = Callable[[Mapping[str, Any]], None]
"""Receives the progress of a long job, a mapping with ``event`` and its figures.

``{"event": "step", "step": 3, "steps": 60, "loss": 1.2, "tokens_per_second": 310.0}``
"""


@runtime_checkable
class Engine(Protocol):
    """Something that answers requests with one served model.

    Making one is cheap and starts nothing: a warm run asks only for :attr:`identity`.
    """

    @property
    def name(self) -> str:
        """``vllm``, ``transformers`` or ``endpoint`` (or the name of a plugin's own)."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What of the engine a reply depends on (name, version, dtype, how the adapter is served): part of every key.

        Known before the start, without loading anything heavy.
        """

    @property
    def wants_ids(self) -> bool:
        """Whether requests carry rendered prompt ids (all engines of ours) or messages only (an endpoint)."""

    def start(self, on_event: OnEvent) -> None:
        """Start serving and return when requests are answered by the right model.

        Raises:
            EngineError: it did not come up, or it serves something else.
        """

    def describe(self) -> Mapping[str, Any]:
        """Return what the manifest records once started: versions, dtype, adapter mode, resolved sampling."""

    def generate(self, requests: Sequence[Request], on_reply: OnReply) -> None:
        """Answer all requests, many at once; call ``on_reply`` for each as it lands, from one thread.

        A request that the engine refuses lands as a reply with ``error`` set.

        Raises:
            EngineError: the engine died or cannot be reached; replies that landed were delivered.
        """

    def score(self, token_ids: Sequence[int], *, base: bool = False) -> list[float]:
        """Return the logprob of each token given those before it, natural log.

        ``token_ids`` has length T, the result T - 1 (the first token has no condition). ``base`` asks
        the model without its adapter, which only an engine that serves both can answer.
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
