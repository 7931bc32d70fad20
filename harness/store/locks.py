"""Locks between processes. The kernel releases them when their process dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StoreError
from harness.store.disk import saving

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, in its own words."""

    pid: int
    doing: str
    since: float

    def __str__(self) -> str:
        """Return ``process 4711 (training …, for 12 s)``."""
        return f"process {self.pid} ({self.doing}, for {max(0.0, time.time() - self.since):.0f} s)"


@contextmanager
def hold(path: Path, doing: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock ``path`` exclusively, waiting for it if need be.

    ``on_wait`` is called with a sentence when there is something to wait for, and again when the
    holder changes.

    Raises:
        StoreError: the lock file cannot be written.
    """
    told: int | None = None
    while (descriptor := _take(path, doing)) is None:
        holder = read_holder(path)
        pid = holder.pid if holder else 0
        if pid != told:
            told = pid
            on_wait(f"waiting for {holder or 'another process'}")
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def try_hold(path: Path, doing: str) -> Iterator[bool]:
    """Hold the lock if it is free right now; yields whether it is held.

    Raises:
        StoreError: the lock file cannot be written.
    """
    descriptor = _take(path, doing)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def read_holder(path: Path) -> Holder | None:
    """Return what the last holder wrote about itself, or None when that cannot be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Holder(int(data["pid"]), str(data["doing"]), float(data["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock ``path`` right now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock_now(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _take(path: Path, doing: str) -> int | None:
    """Return a descriptor that holds the lock, or None when another process holds it."""
    with saving("a lock file", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if _lock_now(descriptor, fcntl.LOCK_EX) and _is_same_file(descriptor, path):
            _describe(descriptor, doing)
            return descriptor
    except OSError as error:
        os.close(descriptor)
        raise StoreError(
            f"cannot lock {path}: {error.strerror}. The harness home must lie on a file system with locks: "
            "choose a local one with $HARNESS_HOME."
        ) from error
    os.close(descriptor)
    return None


def _lock_now(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True


def _is_same_file(descriptor: int, path: Path) -> bool:
    """Whether the file was not removed by someone between opening and locking it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _describe(descriptor: int, doing: str) -> None:
    # on a full disk the lock still holds, only nobody can read what for
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "doing": doing, "since": time.time()}).encode(), 0)
