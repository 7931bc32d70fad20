"""Progress of long work for people: bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from rich.console import Console

Event = Mapping[str, Any]
LINE_SECONDS = 5.0
"""At most one plain line in this time for events that come in streams."""


def duration(seconds: float) -> str:
    """Return a duration as people write it: ``8s``, ``3m 05s``, ``2h 10m``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def _start(e: Event) -> str:
    shape = f"training on {e['rows']} rows, {e['steps']} steps"
    if "trainable" not in e:
        return shape
    trained = f"{e['trainable']:,} of {e['parameters']:,} parameters ({e['share']:.2%})"
    return f"{shape}: {trained}, {e.get('precision', '')} on {e.get('device', '')}"


def _step(e: Event) -> str:
    return f"step {e['step']}/{e['steps']}  loss {e['loss']:.3f}  {e['tokens_per_second']:,.0f} tokens/s"


def _end(e: Event) -> str:
    stopped = f" ({e['stopped']})" if e.get("stopped") else ""
    return f"trained {e['steps']} steps in {duration(e['seconds'])}{stopped}"


def _reply(e: Event) -> str:
    errors = f"  {e['errors']} failed" if e.get("errors") else ""
    return f"{e['done']}/{e['total']} replies  {e['replies_per_second']:.1f}/s{errors}"


def _generated(e: Event) -> str:
    errors = f", {e['errors']} failed" if e.get("errors") else ""
    return f"{e['total']} replies in {duration(e['seconds'])}{errors}"


_LINES: Mapping[str, Callable[[Event], str]] = {
    "start": _start,
    "resume": lambda e: f"training goes on from the checkpoint of step {e['step']}",
    "step": _step,
    "eval": lambda e: f"step {e['step']}  validation loss {e['loss']:.3f}",
    "end": _end,
    "convert": lambda e: f"converting {e['base']} (once)",
    "download": lambda e: f"looking for {e['base']}",
    "merge": lambda e: f"merging the adapter into {e['base']} (once)",
    "engine_starting": lambda e: f"starting the {e['engine']} engine",
    "engine_progress": lambda e: f"{e['engine']} engine: {e['stage']} ({duration(e['seconds'])})",
    "engine_ready": lambda e: f"the {e['engine']} engine is ready after {duration(e['seconds'])}",
    "generate_start": lambda e: f"asking for {e['total']} replies",
    "reply": _reply,
    "generate_end": _generated,
}


def event_line(event: Event) -> str | None:
    """Return one event as a line of text; None for events that are not for people.

    An event that is not known here but carries a ``message`` shows that.
    """
    known = _LINES.get(event["event"])
    if known is None:
        return str(event["message"]) if "message" in event else None
    return known(event)


class _Eta:
    """How long a stream of events will still take, from its pace so far."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def remaining(self, done: int, total: int) -> float | None:
        """Return seconds; None before there is a pace."""
        now = self._clock()
        if self._first is None or done < self._first[1]:
            self._first = (now, done)
        began, at = self._first
        return (now - began) / (done - at) * (total - done) if done > at else None


def _streamed(event: Event) -> tuple[str, int, int] | None:
    """Return what a streaming event counts, how far it is and of how many."""
    if event["event"] == "step":
        return "training", event["step"], event["steps"]
    if event["event"] == "reply":
        return "replies", event["done"], event["total"]
    return None


class Display(Protocol):
    """Shows events until it is closed."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """Leave the terminal in order. May be called twice."""


class Lines:
    """Plain lines, for logs and pipes: streams are thinned out, everything else is shown."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        """``write`` takes one line without its end."""
        self._write = write
        self._clock = clock
        self._told: dict[str, float] = {}
        self._etas: dict[str, _Eta] = {}

    def show(self, event: Event) -> None:
        """Write the event's line, unless its stream had one just now."""
        kind, stream, now = event["event"], _streamed(event), self._clock()
        if stream is None:
            if kind == "engine_progress" and now - self._told.get(kind, -LINE_SECONDS) < LINE_SECONDS:
                return
            self._told[kind] = now
            line, left = event_line(event), None
        else:
            name, done, total = stream
            left = self._etas.setdefault(name, _Eta(self._clock)).remaining(done, total)
            began = self._told.setdefault(name, now)
            if now - began < LINE_SECONDS and not (name == "training" and done in (1, total)):
                return
            self._told[name] = now
            line = event_line(event)
        if line is not None:
            self._write(f"{line}  {duration(left)} left" if left else line)

    def close(self) -> None:
        """Do nothing: every line is whole."""


class Bars:
    """A live bar for the work at hand; what is finished stays as a line above it."""

    def __init__(self, console: Console) -> None:
        """Draw on ``console`` from the first event on."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._status: Any = None

    def show(self, event: Event) -> None:
        """Move a bar, or write a line above it."""
        stream = _streamed(event)
        if stream is not None:
            self._move(*stream, figures=event_line(event) or "")
        elif event["event"] == "engine_progress":
            self._spin(event_line(event) or "")
        elif event["event"] != "generate_start":
            self._rest()
            line = event_line(event)
            if line is not None:
                self._console.print(line, highlight=False, markup=False)

    def _move(self, name: str, done: int, total: int, figures: str) -> None:
        if name not in self._tasks:
            self._rest()
            self._progress.start()
            self._tasks[name] = self._progress.add_task(name, total=total, figures="")
        # the bar itself shows how far: leave that out of the text
        self._progress.update(self._tasks[name], completed=done, figures="  ".join(figures.split("  ")[1:]))

    def _spin(self, text: str) -> None:
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        self._status.update(text)

    def _rest(self) -> None:
        """Take bars and spinner off the screen."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._tasks:
            self._progress.stop()
            for task in self._tasks.values():
                self._progress.remove_task(task)
            self._tasks = {}

    def close(self) -> None:
        """Take bars and spinner off the screen."""
        self._rest()


class ProgressPrinter:
    """Shows events as they come: call it with each, close it at the end (or use it as a context)."""

    def __init__(self, display: Display) -> None:
        """Use :func:`progress_printer`."""
        self._display = display

    def __call__(self, event: Event) -> None:
        """Show one event."""
        self._display.show(event)

    def close(self) -> None:
        """Leave the terminal in order. May be called twice."""
        self._display.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def progress_printer(console: Console) -> ProgressPrinter:
    """Return a printer of progress events for ``console``: bars if it is a terminal, plain lines if not."""
    if console.is_terminal:
        return ProgressPrinter(Bars(console))
    return ProgressPrinter(Lines(lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True)))
