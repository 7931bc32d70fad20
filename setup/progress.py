"""Run a command with its output in a log and one live line on the screen."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

TAIL_LINES = 20
TAIL_WIDTH = 300
SECONDS_BETWEEN_LINES = 20.0
"""Without a terminal: a plain line now and then, so that nobody takes silence for a hang."""


class CommandError(Exception):
    """A command failed; carries the end of its output."""

    def __init__(self, command: Sequence[str], code: int, tail: Sequence[str], log: Path | None = None) -> None:
        self.tail = tuple(tail)
        shown = "\n".join(f"  | {line}" for line in tail)
        everything = f" (all of them: {log})" if log else ""
        super().__init__(f"{' '.join(command)}\nended with code {code}. Its last lines{everything}:\n{shown}")


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run_logged(command: Sequence[str], log: Path, cwd: Path) -> None:
    """Run ``command`` to its end, appending its output to ``log``.

    Raises:
        CommandError: it ended with another code than 0.
    """
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    started = time.monotonic()
    with (
        log.open("a", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        file.write(f"$ {' '.join(command)}\n")
        reader = threading.Thread(target=_read, args=(process, file, tail), daemon=True)
        reader.start()
        try:
            _watch(process, tail, started)
        except BaseException:
            process.terminate()
            raise
        reader.join()
    if process.returncode:
        raise CommandError(command, process.returncode, tail, log)


def _read(process: subprocess.Popen[str], file: TextIO, tail: deque[str]) -> None:
    for line in process.stdout or ():
        file.write(line)
        file.flush()
        if line.strip():
            tail.append(line.rstrip()[:TAIL_WIDTH])


def headline(lines: Iterable[str]) -> str:
    """Return what pip is at, from its last lines: the last one that tells of work, shortened."""
    for line in reversed(list(lines)):
        text = line.strip()
        if text.startswith("Installing collected packages:"):
            return "Installing packages"
        if text.startswith(("Collecting ", "Downloading ", "Building ", "Preparing ")):
            return " ".join(text.split()[:2])
    return ""


def _watch(process: subprocess.Popen[str], tail: deque[str], started: float) -> None:
    live = sys.stdout.isatty()
    interval = 0.5 if live else SECONDS_BETWEEN_LINES
    while True:
        try:
            process.wait(interval)
            break
        except subprocess.TimeoutExpired:
            line = f"  {time.monotonic() - started:4.0f} s  {headline(tail.copy())}"
            sys.stdout.write(f"\r\x1b[K{line}" if live else f"{line}\n")
            sys.stdout.flush()
    if live:
        sys.stdout.write("\r\x1b[K")
        sys.stdout.flush()
