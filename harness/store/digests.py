"""Digests of files, remembered as long as the file's stat says that it did not change."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Self

from harness.errors import StoreError
from harness.store.home import Home

RACY_NS = 2_000_000_000
"""A file written less than this before it was hashed is not remembered.

A second write within one tick of the file system's clock (2 s on the coarsest) leaves the stat as it
was; git has the same problem ("racy git") and the same answer.
"""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS digests (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode TEXT, device TEXT, sha256 TEXT
) WITHOUT ROWID
"""
_Stat = tuple[int, int, int, str, str]


class DigestCache:
    """Digests of files, kept in a home; without one, every file is hashed.

    Only a cache: when its database cannot be used, files are hashed.
    """

    def __init__(self, home: Home | None) -> None:
        """Open nothing yet."""
        self._home = home
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        """Open the database."""
        if self._home is not None:
            self._database = _open(self._home)
        return self

    def __exit__(self, *error: object) -> None:
        """Close the database."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def digest(self, path: Path) -> str:
        """Return the sha256 (hex) of the file's content.

        Raises:
            StoreError: the file cannot be read.
        """
        try:
            known = self._known(path, _stat(path.stat()))
            return known or self._hash(path)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}") from error

    def _known(self, path: Path, stat: _Stat) -> str | None:
        if self._database is None:
            return None
        with contextlib.suppress(sqlite3.Error):
            row = self._database.execute(
                "SELECT size, mtime_ns, ctime_ns, inode, device, sha256 FROM digests WHERE path = ?", (_name(path),)
            ).fetchone()
            if row is not None and tuple(row[:5]) == stat:
                return str(row[5])
        return None

    def _hash(self, path: Path) -> str:
        started = time.time_ns()
        with path.open("rb") as file:
            before = _stat(os.fstat(file.fileno()))
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            after = _stat(os.fstat(file.fileno()))
        settled = started - max(before[1], before[2]) > RACY_NS
        if self._database is not None and settled and before == after:
            with contextlib.suppress(sqlite3.Error):
                row = (_name(path), *after, sha256)
                self._database.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return sha256


def _open(home: Home) -> sqlite3.Connection | None:
    """Return the database, made anew when it is damaged, or None when there cannot be one."""
    with contextlib.suppress(sqlite3.Error, OSError, StoreError):
        home.create()
        try:
            return _connect(home.digests_db)
        except sqlite3.OperationalError:  # locked, read-only, full: not damaged
            return None
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                home.digests_db.with_name(home.digests_db.name + suffix).unlink(missing_ok=True)
            return _connect(home.digests_db)
    return None


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=5, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(_SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _stat(stat: os.stat_result) -> _Stat:
    # inode and device may exceed SQLite's integers, hence the text
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, str(stat.st_ino), str(stat.st_dev)


def _name(path: Path) -> bytes:
    return os.fsencode(path.absolute())
