"""Writing so that a full disk or a crash leaves what was there whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import StoreError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def format_bytes(count: float) -> str:
    """Return ``count`` bytes with a binary unit, for people: ``1.4 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def free_bytes(path: Path) -> int:
    """Return the free bytes of the file system that ``path`` lies on, or would lie on."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below ``folder``; files that vanish meanwhile count as nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).stat().st_size
            except OSError:
                continue
    return total


def no_space(what: str, path: Path, needed: int | None, reason: str) -> StoreError:
    """Return the error that says what could not be saved, how much it needs and how much is free."""
    need = f"{format_bytes(needed)} needed, " if needed is not None else ""
    try:
        free = f"{format_bytes(free_bytes(path))} free"
    except OSError:
        free = "free space unknown"
    return StoreError(
        f"no space to save {what} in {path}: {reason} ({need}{free}). What was stored before is whole.\n"
        "Free some space (`harness cache ls`, `harness cache prune`) or set $HARNESS_HOME to a larger disk."
    )


def require_space(what: str, path: Path, needed: int) -> None:
    """Refuse before the work starts when ``needed`` bytes will not fit.

    Raises:
        StoreError: fewer bytes are free.
    """
    if free_bytes(path) < needed:
        raise no_space(what, path, needed, "too little is free")


@contextmanager
def saving(what: str, path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn a failure to write at or below ``path`` into a StoreError; other errors pass.

    Raises:
        StoreError: the disk or the quota is full, a size limit was met, or ``path`` cannot be written.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in FULL:
            raise no_space(what, path, needed, reason) from error
        if isinstance(error, FileNotFoundError) or not _is_below(error.filename, path):
            raise
        raise StoreError(
            f"cannot save {what} in {path}: {reason} ({error.filename}).\n"
            "Check the permissions, or choose another folder with $HARNESS_HOME."
        ) from error


def _is_below(filename: object, path: Path) -> bool:
    """Whether the file that an OSError names is ``path``, lies in it, or is a parent that cannot be made."""
    if not isinstance(filename, str | bytes | os.PathLike):
        return False
    named = Path(os.fsdecode(filename)).absolute()
    path = path.absolute()
    return named == path or path in named.parents or named in path.parents or named.parent == path.parent


def write_atomic(path: Path, content: bytes, what: str) -> None:
    """Replace the file ``path`` as a whole: after a crash it holds the old content or the new.

    Raises:
        StoreError: it cannot be written; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with saving(what, path, len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    _sync(folder)


def sync_tree(folder: Path) -> None:
    """Make every file and name below ``folder`` durable."""
    for parent, _, names in os.walk(folder):
        for file in (Path(parent, name) for name in names):
            if file.is_file():
                _sync(file)
        _sync(Path(parent))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
