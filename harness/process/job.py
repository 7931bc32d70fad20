"""A job in a child process: a request in, a stream of events, one result or one error out.

Parent and child share a folder: ``job.json`` (what to do), ``events.jsonl`` (what the child reports)
and ``log.txt`` (everything it prints). The child reports its own end as an event, so that the parent
knows of a failure the moment it happens and not when an interpreter has shut down.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.errors import HarnessError
from harness.process.child import Child

JOB, EVENTS, LOG = "job.json", "events.jsonl", "log.txt"
POLL_SECONDS = 0.05

Emit = Callable[[Mapping[str, Any]], None]
Kind = Literal["memory", "disk", "input", "failed", "killed"]


@dataclass(frozen=True)
class JobFailure:
    """Why a job ended without a result."""

    kind: Kind
    message: str
    tail: tuple[str, ...]
    returncode: int | None = None


def run_job(
    argv: Sequence[str],
    request: Mapping[str, Any],
    *,
    name: str,
    folder: Path,
    on_event: Emit,
    env: Mapping[str, str] | None = None,
) -> Mapping[str, Any] | JobFailure:
    """Run ``argv + [folder]`` with ``request`` and return its result, or why there is none.

    Events reach ``on_event`` in this thread as they come. Whatever happens here, the child is gone
    when this returns or raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOB).write_text(json.dumps(request), encoding="utf-8")
    tail = _EventTail(folder / EVENTS)
    with Child.start([*argv, str(folder)], name=name, log=folder / LOG, env=env) as child:
        while True:
            ended = child.poll()  # asked before reading: what was written before the end is then read
            for event in tail.read():
                if event["event"] == "result":
                    return dict(event["result"])
                if event["event"] == "error":
                    return JobFailure(event["kind"], event["message"], tuple(child.tail()))
                on_event(event)
            if ended is not None:
                return _unexplained(name, ended, child.tail(40))
            time.sleep(POLL_SECONDS)


class _EventTail:
    """Reads the complete lines that were appended since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def read(self) -> list[dict[str, Any]]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except FileNotFoundError:
            return []
        complete = chunk[: chunk.rfind(b"\n") + 1]
        self._offset += len(complete)
        return [json.loads(line) for line in complete.splitlines()]


def _unexplained(name: str, returncode: int, lines: Sequence[str]) -> JobFailure:
    """Describe an end that the child itself said nothing about."""
    text = "\n".join(lines)
    signals = {137: "SIGKILL", 139: "SIGSEGV", 134: "SIGABRT", 143: "SIGTERM", 135: "SIGBUS", 132: "SIGILL"}
    # a launcher between us and the child exits with 1 and prints what became of it
    died = next((s for s in signals.values() if f"Signals.{s}" in text), signals.get(returncode))
    lines = _own_lines(lines, died is not None)[-20:]
    if died == "SIGKILL":
        message = f"{name} was killed (SIGKILL): most likely the machine ran out of memory"
        return JobFailure("killed", message, lines, returncode)
    if "No space left on device" in text:
        return JobFailure("disk", f"{name} ended: no space left on device", lines, returncode)
    how = f"was ended by {died}" if died else f"ended with exit code {returncode}"
    return JobFailure("failed", f"{name} {how} and left no result", lines, returncode)


def _own_lines(lines: Sequence[str], was_killed: bool) -> tuple[str, ...]:
    """Leave out what a launcher says of a killed child: its traceback is its own, and names no cause."""
    told = list(lines)
    if was_killed and any("CalledProcessError" in line for line in told):
        told = told[: max((n for n, line in enumerate(told) if line.startswith("Traceback")), default=len(told))]
    return tuple(line for line in told if "CalledProcessError" not in line)


def job_main(work: Callable[[Mapping[str, Any], Emit], Mapping[str, Any]]) -> None:
    """Be the child: read the job whose folder stands in ``sys.argv[1]``, do it, report the end."""
    folder = Path(sys.argv[1])
    request = json.loads((folder / JOB).read_text(encoding="utf-8"))

    def emit(event: Mapping[str, Any]) -> None:
        with (folder / EVENTS).open("ab") as file:
            file.write(json.dumps(event).encode() + b"\n")

    try:
        result = work(request, emit)
    except BaseException as error:
        traceback.print_exc()
        emit({"event": "error", "kind": _kind(error), "message": _message(error)})
        sys.exit(1)
    if os.environ.get("RANK", "0") == "0":  # of several processes under one launcher, the first speaks for all
        emit({"event": "result", "result": dict(result)})


def _kind(error: BaseException) -> Kind:
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "disk"
    if "no space left" in text or "file too large" in text:  # raised by Rust code as its own type
        return "disk"
    return "input" if isinstance(error, HarnessError) else "failed"


def _message(error: BaseException) -> str:
    return str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
