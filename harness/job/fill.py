"""Every wanted reply: taken from the store, or asked of the engine, many at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from harness.data import Renderer
from harness.errors import DataError, Problem, TemplateError
from harness.protocols import Engine, OnEvent
from harness.store import RunStore
from harness.types import Generation, Reply, Request

_TOGETHER = 256


@dataclass(frozen=True)
class FillReport:
    """What it took to have every reply."""

    wanted: int
    reused: int
    generated: int
    errors: int
    """Replies that the engine refused or failed; they are neither passes nor fails."""
    seconds: float
    prompt_tokens: int
    completion_tokens: int


def generation_of(request: Request, reply: Reply, model_hash: str) -> Generation:
    """Return the stored form of a reply."""
    return Generation(
        key=request.key,
        case_id=request.case_id,
        model_hash=model_hash,
        text=reply.text,
        token_ids=reply.token_ids,
        prompt_token_ids=reply.prompt_token_ids or request.prompt_ids,
        finish_reason=reply.finish_reason,
        decoding=request.decoding,
        repeat=request.repeat,
        seconds=reply.seconds,
        prompt_tokens=reply.prompt_tokens or len(request.prompt_ids),
        completion_tokens=reply.completion_tokens or len(reply.token_ids),
        tool_calls=reply.tool_calls,
        error=reply.error,
    )


def missing_requests(requests: Sequence[Request], store: RunStore) -> list[Request]:
    """Return the requests without a good reply in the store, each key once; a failed reply is asked for again."""
    wanted = {request.key: request for request in requests}
    stored = store.good_keys(wanted)
    return [request for key, request in wanted.items() if key not in stored]


def render_requests(requests: Sequence[Request], renderer: Renderer) -> list[Request]:
    """Return the requests with their prompt ids, all rendered together.

    Raises:
        TemplateError: the template cannot be used at all.
        DataError: it cannot render some of the cases; all of them are named.
    """
    stop_ids = renderer.stop_ids
    try:
        prompts = renderer.prompts([(request.messages, request.tools) for request in requests])
    except TemplateError:
        problems = _refused(requests, renderer)
        raise DataError(f"{len(problems)} cases cannot be rendered by the chat template:", problems) from None
    return [replace(request, prompt_ids=ids, stop_ids=stop_ids) for request, ids in zip(requests, prompts, strict=True)]


def _refused(requests: Sequence[Request], renderer: Renderer) -> list[Problem]:
    """Ask for the prompts one by one, to know whose are refused."""
    problems: list[Problem] = []
    for request in requests:
        try:
            renderer.prompt_ids(request.messages, request.tools)
        except TemplateError as error:
            problems.append(Problem(str(error), row=request.case_id))
    return problems


class _Writer:
    """Stores replies in a thread of its own: what lands while one is being written goes to disk together.

    A reply is on disk milliseconds after it landed, and a burst of them costs few transactions.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._queue: SimpleQueue[Generation | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="reply-writer", daemon=True)

    def put(self, generation: Generation) -> None:
        """Hand over a reply.

        Raises:
            StoreError: an earlier one could not be stored.
        """
        self._raise()
        self._queue.put(generation)

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while not self._queue.empty() and len(batch) < _TOGETHER:
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    break
                batch.append(following)
            try:
                self._store.put_generations(batch)
            except BaseException as error:  # it is raised where replies are handed over
                self._error = error
                return

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if error is None:
            self._raise()


def generate_missing(
    requests: Sequence[Request],
    engine: Engine,
    store: RunStore,
    model_hash: str,
    on_event: OnEvent,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[int, int, int]:
    """Send every request at once, keep each reply as it lands.

    Returns:
        failed replies, prompt tokens, reply tokens.

    Raises:
        EngineError: the engine died; what had landed is in the store.
    """
    started, landed, failed, prompt, completion = clock(), 0, 0, 0, 0

    def keep(request: Request, reply: Reply) -> None:
        nonlocal landed, failed, prompt, completion
        generation = generation_of(request, reply, model_hash)
        writer.put(generation)
        landed += 1
        failed += generation.error is not None
        prompt += generation.prompt_tokens
        completion += generation.completion_tokens
        seconds = clock() - started
        on_event({
            "event": "reply", "done": landed, "total": len(requests), "errors": failed, "seconds": seconds,
            "replies_per_second": landed / seconds if seconds else 0.0,
        })  # fmt: skip

    on_event({"event": "generate_start", "total": len(requests)})
    with _Writer(store) as writer:
        engine.generate(requests, keep)
    on_event({"event": "generate_end", "total": len(requests), "errors": failed, "seconds": clock() - started})
    return failed, prompt, completion
