"""Marks of living processes on what they use, so that pruning leaves it alone."""

from __future__ import annotations

import contextlib
from pathlib import Path

from harness.store.processes import ProcessMark


def mark_used(folder: Path) -> None:
    """Leave the mark of this process in ``folder``; it holds until the process ends."""
    # a read-only home can be read all the same
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(ProcessMark.current())).touch()
        living_users(folder)


def living_users(folder: Path) -> list[int]:
    """Return the pids of the living processes that left a mark; marks of the dead are removed."""
    living: list[int] = []
    try:
        marks = list(folder.iterdir())
    except FileNotFoundError:
        return living
    for file in marks:
        with contextlib.suppress(OSError, ValueError):
            mark = ProcessMark.parse(file.name)
            if mark.is_alive(file.stat().st_mtime):
                living.append(mark.pid)
            else:
                file.unlink(missing_ok=True)
    return sorted(living)
