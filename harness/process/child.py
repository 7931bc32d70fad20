"""A child process tree that ends with its parent, and whose last lines can be shown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

QUIET = {
    # no library phones home from a child of ours
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "WANDB_SILENT": "true",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}


class Child:
    """A supervised command. Its output goes to a log file, its whole tree dies with us.

    The tree is ended when :meth:`stop` is called, when the command itself ends, and when this
    process goes away for any reason, SIGKILL included.
    """

    def __init__(self, process: subprocess.Popen[bytes], name: str, log: Path, grace: float) -> None:
        """Use :meth:`start`."""
        self._process = process
        self._grace = grace
        self.name = name
        self.log = log

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        name: str,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = 5.0,
    ) -> Self:
        """Start ``argv``; ``env`` is laid over this process's own environment.

        ``grace`` is the time in seconds between SIGTERM and SIGKILL when the tree is ended.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.process.supervisor", str(grace), *argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **QUIET, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        return cls(process, name, log, grace)

    @property
    def pid(self) -> int:
        """The supervisor's pid; the command is its child."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while the command runs (128 + n: ended by signal n)."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            TimeoutError: it still runs after ``timeout`` seconds.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {timeout} s") from None

    def tail(self, lines: int = 20) -> list[str]:
        """Return the last lines that the command wrote."""
        try:
            with self.log.open(encoding="utf-8", errors="replace") as file:
                return [line.rstrip("\n") for line in deque(file, maxlen=lines)]
        except OSError:
            return []

    def stop(self) -> None:
        """End the whole tree and wait until it is gone. May be called twice."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(self._grace + 10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the tree."""
        self.stop()
