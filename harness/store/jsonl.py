"""JSON lines that stay readable when their writer dies in the middle of one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from harness.errors import StoreError
from harness.store.disk import saving, write_atomic
from harness.store.encode import compact_json


class JsonlWriter:
    """Appends values to a file, a line each; a line that was written survives a kill.

    A last line that an earlier writer left half written is removed first.
    """

    def __init__(self, path: Path, what: str = "results") -> None:
        """Open ``path`` for appending; ``what`` names the content in errors.

        Raises:
            StoreError: the file cannot be written.
        """
        self._path = path
        self._what = what
        with saving(what, path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            if path.is_file():
                _mend_tail(path)

    def write(self, *values: Any) -> None:
        """Append values (nouns, or JSON data), a line each: all of them or none.

        Raises:
            StoreError: they cannot be written; the lines before them stay whole.
        """
        lines = b"".join(map(_line, values))
        start = os.fstat(self._file.fileno()).st_size
        with saving(self._what, self._path, len(lines)):
            try:
                written = 0
                while written < len(lines):
                    written += self._file.write(lines[written:])
            except OSError:
                if self._path.is_file():
                    os.ftruncate(self._file.fileno(), start)
                raise

    def close(self) -> None:
        """Make the lines durable and close the file. May be called twice."""
        if not self._file.closed:
            with saving(self._what, self._path):
                if self._path.is_file():
                    os.fsync(self._file.fileno())
                self._file.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()


def write_jsonl(path: Path, values: Iterable[Any], what: str = "results") -> None:
    """Write a whole file of JSON lines at once: after a crash it is the old file or the new.

    Raises:
        StoreError: it cannot be written; the old file is untouched.
    """
    write_atomic(path, b"".join(map(_line, values)), what)


def read_jsonl(path: Path) -> Iterator[Any]:
    """Yield the values of a file; a last line that was cut off by a crash is left out.

    Raises:
        StoreError: the file cannot be read, or a line before the last is not JSON.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except ValueError as error:
                    if line.endswith(b"\n"):
                        raise StoreError(f"{path}:{number}: not JSON: {error}. Remove or repair that line.") from error
                    return
                yield value
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error


def _line(value: Any) -> bytes:
    # a lone surrogate, which a model can produce, has no UTF-8: ASCII escapes carry it
    return compact_json(value).encode("ascii") + b"\n"


def _mend_tail(path: Path) -> None:
    """Remove a torn last line; end a whole one that lacks its newline."""
    with path.open("rb+") as file:
        tail = _last_line(path)
        if not tail or tail.endswith(b"\n"):
            return
        end = file.seek(0, os.SEEK_END)
        try:
            json.loads(tail)
        except ValueError:
            file.truncate(end - len(tail))
        else:
            file.write(b"\n")


def _last_line(path: Path, block: int = 65536) -> bytes:
    """Return what follows the last newline but one at the file's very end."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        tail = b""
        while position > 0 and b"\n" not in tail[:-1]:
            step = min(block, position)
            position -= step
            file.seek(position)
            tail = file.read(step) + tail
        return tail[tail.rfind(b"\n", 0, -1) + 1 :]
