"""Many requests at once from one event loop in a thread of its own, replies handed over in the caller's thread."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Item = TypeVar("Item")

_POLL_SECONDS = 0.2


class Dispatcher:
    """An event loop in a background thread, started when first used."""

    def __init__(self, concurrency: int) -> None:
        """Send at most ``concurrency`` requests at once."""
        self.concurrency = concurrency
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def call(self, coroutine: Coroutine[Any, Any, Result], timeout: float | None = None) -> Result:
        """Run one coroutine on the loop and wait for it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._running())
        try:
            return future.result(timeout)
        finally:
            future.cancel()

    def map(
        self, jobs: Sequence[Job], send: Callable[[Job], Awaitable[Result]], alive: Callable[[], None]
    ) -> Iterator[tuple[Job, Result]]:
        """Yield (job, result) in the caller's thread, in the order in which results land.

        The first exception of ``send`` is raised here, and so is what ``alive`` raises, which is asked a few
        times a second. Whenever the iteration ends, what is still under way is cancelled.
        """
        landed: queue.SimpleQueue[tuple[Job, Result] | BaseException] = queue.SimpleQueue()
        future = asyncio.run_coroutine_threadsafe(self._send_all(jobs, send, landed), self._running())
        try:
            for _ in jobs:
                item = _next(landed, alive)
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            future.cancel()

    def stream(self, source: AsyncIterator[Item], alive: Callable[[], None]) -> Iterator[Item]:
        """Yield what ``source`` yields, in the caller's thread."""
        landed: queue.SimpleQueue[tuple[str, Item | None] | BaseException] = queue.SimpleQueue()

        async def pump() -> None:
            try:
                async for item in source:
                    landed.put(("item", item))
                landed.put(("end", None))
            except Exception as error:
                landed.put(error)

        future = asyncio.run_coroutine_threadsafe(pump(), self._running())
        try:
            while True:
                entry = _next(landed, alive)
                if isinstance(entry, BaseException):
                    raise entry
                kind, item = entry
                if kind == "end" or item is None:
                    return
                yield item
        finally:
            future.cancel()

    def close(self) -> None:
        """Stop the loop. May be called twice."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        self._loop = self._thread = None

    async def _send_all(
        self,
        jobs: Sequence[Job],
        send: Callable[[Job], Awaitable[Result]],
        landed: queue.SimpleQueue[tuple[Job, Result] | BaseException],
    ) -> None:
        waiting = deque(jobs)

        async def work() -> None:
            while waiting:
                job = waiting.popleft()
                landed.put((job, await send(job)))

        # a few workers rather than a task per job: ten thousand jobs then cost sixty-four tasks
        workers = [asyncio.create_task(work()) for _ in range(min(self.concurrency, len(jobs)))]
        try:
            await asyncio.gather(*workers)
        except Exception as error:
            landed.put(error)
        finally:
            for worker in workers:
                worker.cancel()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=(self._loop,), name="harness-serving", daemon=True)
            self._thread.start()
        return self._loop


def _next(landed: queue.SimpleQueue[Item], alive: Callable[[], None]) -> Item:
    while True:
        try:
            return landed.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            alive()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(asyncio.sleep(0))  # closed connections say goodbye in the loop's next round
    finally:
        loop.close()
