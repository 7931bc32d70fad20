"""Waiting requests become batches of rows that can be generated together."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence

from harness.serving.transformers_server.ask import Answer, Ask, BadRequest

_QUIET_SECONDS = 0.03
_PATIENCE_SECONDS = 0.3


class Batcher:
    """A queue, and the thread that empties it batch by batch."""

    def __init__(self, run: Callable[[Sequence[Ask]], list[Answer]], batch_size: int) -> None:
        """``run`` answers a batch, in order."""
        self._run = run
        self._batch_size = batch_size
        self._waiting: list[Ask] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="batches", daemon=True).start()

    def put(self, ask: Ask) -> None:
        """Queue a request; its ``answer`` is set when it is done."""
        with self._changed:
            self._waiting.append(ask)
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            self._answer(self._next_batch())

    def _next_batch(self) -> list[Ask]:
        """Wait for a first request, then until no more arrive, so that a burst becomes one batch."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while len(self._waiting) < self._batch_size and time.monotonic() < deadline:
                if not self._changed.wait(_QUIET_SECONDS):
                    break
            key = self._waiting[0].batch_key
            alike = [ask for ask in self._waiting if ask.batch_key == key][: self._batch_size]
            chosen = {id(ask) for ask in alike}
            self._waiting = [ask for ask in self._waiting if id(ask) not in chosen]
        # rows of like length side by side: less of a split batch is padding
        return sorted(alike, key=lambda ask: len(ask.prompt_ids))

    def _answer(self, batch: Sequence[Ask]) -> None:
        try:
            for ask, answer in zip(batch, self._run(batch), strict=True):
                ask.answer.set_result(answer)
        except Exception as error:
            if _out_of_memory(error) and len(batch) > 1:
                middle = len(batch) // 2
                self._answer(batch[:middle])
                self._answer(batch[middle:])
                return
            if not isinstance(error, BadRequest):
                traceback.print_exc()
            for ask in batch:
                if not ask.answer.done():
                    ask.answer.set_exception(error)
        for ask in batch:
            if ask.pieces is not None:
                ask.pieces.put(None)


def _out_of_memory(error: Exception) -> bool:
    return "out of memory" in str(error).lower() or isinstance(error, MemoryError)
