"""Telling whether the process that wrote something still lives."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ELSEWHERE_SECONDS = 24 * 3600
"""For how long a process of another host (or container), which cannot be asked, counts as alive."""


@dataclass(frozen=True)
class ProcessMark:
    """A process, told apart from a later one with the same pid."""

    host: str
    pid: int
    start: str
    """When the process started, in the system's own unit: only compared for equality."""

    @classmethod
    def current(cls) -> Self:
        """Return the mark of this process."""
        return cls(socket.gethostname(), os.getpid(), _start_of(os.getpid()) or "")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` wrote.

        Raises:
            ValueError: it is not a mark.
        """
        host, pid, start = text.rsplit("~", 2)
        return cls(host, int(pid), start)

    def __str__(self) -> str:
        """Return a text that is a file name too."""
        return f"{self.host.replace('/', '_')}~{self.pid}~{self.start}"

    def is_alive(self, since: float) -> bool:
        """Whether the process still runs; ``since`` is when it was last known to (seconds since the epoch)."""
        if self.host != socket.gethostname():
            return time.time() - since < ELSEWHERE_SECONDS
        return _start_of(self.pid) == self.start


def _start_of(pid: int) -> str | None:
    """Return when ``pid`` started, or None when there is no such process (a zombie is none)."""
    if Path("/proc/self/stat").exists():
        return _start_from_proc(pid)
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def _start_from_proc(pid: int) -> str | None:
    """Return the start in clock ticks, which unlike a wall time does not move when the clock is set."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    # the name, in brackets, may itself hold spaces and brackets
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot[:8]}-{fields[19]}"
