"""What a cache records about an entry, and how an entry is held against it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store.digests import DigestCache
from harness.store.disk import saving
from harness.store.hashing import digest
from harness.store.home import CacheKind
from harness.types import to_json

ENTRY_FILE = "entry.json"
FORMAT = 1


@dataclass(frozen=True)
class FileRecord:
    """Size in bytes and sha256 (hex) of one file of an entry."""

    size: int
    sha256: str


@dataclass(frozen=True)
class EntryRecord:
    """The content of ``entry.json``: what was built, and each file as it was then."""

    kind: CacheKind
    key: str
    description: str
    info: Mapping[str, Any]
    created: float
    """Seconds since the epoch."""
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    """By path relative to the entry, with forward slashes."""

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files.values())


def describe_folder(folder: Path, kind: CacheKind, key: str, description: str, info: Mapping[str, Any]) -> EntryRecord:
    """Return the record of a folder that was just built.

    Raises:
        StoreError: there is no file in it, or one cannot be read.
    """
    with DigestCache(None) as digests:
        files = {
            file.relative_to(folder).as_posix(): FileRecord(file.stat().st_size, digests.digest(file))
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
    if not files:
        raise StoreError(f"nothing was built: no file was written for {description}")
    return EntryRecord(kind, key, description, info, time.time(), files)


def write_record(folder: Path, record: EntryRecord) -> None:
    """Write ``entry.json`` into the entry's folder.

    Raises:
        StoreError: it cannot be written.
    """
    with saving(record.description, folder):
        data = to_json(record)
        text = json.dumps({"format": FORMAT, "digest": digest(data), **data}, indent=1)
        (folder / ENTRY_FILE).write_text(text, encoding="utf-8")


def read_record(folder: Path) -> EntryRecord:
    """Read ``entry.json`` of an entry.

    Raises:
        ValueError: it is missing, or not what :func:`write_record` writes.
    """
    try:
        data = json.loads((folder / ENTRY_FILE).read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ValueError(f"{ENTRY_FILE} has a format that this version does not know")
        if data.pop("digest") != digest(data):
            raise ValueError(f"{ENTRY_FILE} is damaged: its own digest differs")
        files = {name: FileRecord(**record) for name, record in data.pop("files").items()}
        return EntryRecord(**data, files=files)
    except OSError as error:
        raise ValueError(f"{ENTRY_FILE}: {error.strerror}") from error
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{ENTRY_FILE} is damaged: {error}") from error


def entry_problems(folder: Path, digests: DigestCache) -> list[str]:
    """Return what differs from the record: files missing, of another size, or with other content."""
    try:
        record = read_record(folder)
    except ValueError as error:
        return [str(error)]
    problems = (_file_problem(folder / name, name, known, digests) for name, known in record.files.items())
    return [problem for problem in problems if problem]


def _file_problem(path: Path, name: str, known: FileRecord, digests: DigestCache) -> str | None:
    try:
        size = path.stat().st_size
    except OSError as error:
        return f"{name}: {error.strerror}"
    if size != known.size:
        return f"{name}: {size} bytes instead of {known.size}"
    try:
        return None if digests.digest(path) == known.sha256 else f"{name}: the content changed"
    except StoreError as error:
        return str(error)
