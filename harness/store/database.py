"""The SQLite file of the run store: opening, making, upgrading, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import StoreError
from harness.store.disk import format_bytes, free_bytes, no_space, saving
from harness.store.locks import hold

APPLICATION_ID = 0x46544831
BUSY_SECONDS = 30.0

STEPS = (
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        status TEXT NOT NULL,
        started REAL NOT NULL,
        touched REAL NOT NULL,
        finished REAL,
        process TEXT NOT NULL,
        info TEXT NOT NULL
    );
    CREATE INDEX runs_by_fingerprint ON runs (fingerprint, started);
    CREATE TABLE generations (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        failed INTEGER NOT NULL,
        created REAL NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX generations_by_key ON generations (key);
    CREATE UNIQUE INDEX one_good_generation ON generations (key) WHERE failed = 0;
    CREATE TABLE verdicts (
        id INTEGER PRIMARY KEY,
        run TEXT NOT NULL,
        nodeid TEXT NOT NULL,
        outcome TEXT NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX verdicts_by_run ON verdicts (run, nodeid, outcome);
    """,
)
"""The statements that lead from each schema version to the next; the file's version is their count."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the run store, made if it is missing and upgraded if it is older.

    Raises:
        StoreError: it is damaged, locked, of a newer version, or not a run store.
    """
    with database_errors(path):
        if not path.exists():
            with saving("the run store", path):
                path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection, path)
    if version < len(STEPS):
        # two sessions that start at once must not both make the tables
        with hold(path.with_name(path.name + ".lock"), "preparing the run store", lambda _: None):
            _upgrade(connection, path)
    # in WAL mode this loses nothing when a process is killed, and at most the last replies when the power goes
    connection.execute("PRAGMA synchronous = NORMAL")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    # another process may be making the store just now, all in one transaction: whoever has seen its tables and then
    # asks for its mark finds it; asked the other way round, a store of ours could look like somebody else's
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and application != APPLICATION_ID:
        raise StoreError(f"{path} is a database, but not a run store of the harness: choose another --home")
    if version > len(STEPS):
        raise StoreError(
            f"{path} was written by a newer version of the harness (schema {version}, this one knows {len(STEPS)}): "
            "upgrade ft-harness, or choose another --home"
        )
    return int(version)


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    for number in range(_version(connection, path), len(STEPS)):
        connection.executescript(
            f"BEGIN IMMEDIATE; {STEPS[number]}; PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {number + 1}; COMMIT;"
        )


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a StoreError that says what to do.

    Raises:
        StoreError: whatever SQLite said.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, path) from error


def _translated(error: sqlite3.Error, path: Path) -> StoreError:
    name = getattr(error, "sqlite_errorname", "")
    text = str(error)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"the run store {path} stayed locked by another process for {BUSY_SECONDS:.0f} s: "
            "let that process finish (`fuser` names it), or choose another --home"
        )
    if name.startswith("SQLITE_FULL"):
        return no_space("results", path, None, text)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR")):
        return StoreError(
            f"the run store {path} cannot be used: {text} ({name}, {format_bytes(free_bytes(path))} free). "
            "Check its permissions and the disk."
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreError(
            f"the run store {path} is damaged: {text}. Move it away (mv {path} {path}.damaged) and run again: "
            "replies are then generated anew; cached models and adapters are kept."
        )
    return StoreError(f"the run store {path} failed: {text} ({name or type(error).__name__})")
