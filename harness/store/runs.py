"""The run store: every reply and every verdict, kept as soon as it is there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from harness.errors import StoreError
from harness.store.database import database_errors, open_database
from harness.store.encode import compact_json
from harness.store.processes import ProcessMark
from harness.types import Generation, Outcome, Verdict, to_json

RUNNING: Final = "running"
INTERRUPTED: Final = "interrupted"
_CHUNK = 900
_Noun = TypeVar("_Noun", Generation, Verdict)
_RUN_COLUMNS = "id, fingerprint, status, started, touched, finished, process, info"


@dataclass(frozen=True)
class Run:
    """One session over one served model and one decoding."""

    id: str
    fingerprint: str
    status: str
    """``running`` until :meth:`RunStore.finish` says otherwise, even if the process is gone."""
    started: float
    """Seconds since the epoch."""
    touched: float
    """When a process last began or took up the run."""
    finished: float | None
    process: ProcessMark
    info: Mapping[str, Any]

    @property
    def is_alive(self) -> bool:
        """Whether the run is being worked on right now."""
        return self.status == RUNNING and self.process.is_alive(self.touched)

    @property
    def is_unfinished(self) -> bool:
        """Whether it was cut short (killed or interrupted) and can be taken up again."""
        return self.status == INTERRUPTED or (self.status == RUNNING and not self.is_alive)


class RunStore:
    """Runs, generations and verdicts in one SQLite file, for any number of processes and threads.

    Generations and verdicts are only ever appended. What a call has stored survives a kill.
    """

    def __init__(self, path: Path) -> None:
        """Open the store at ``path``, made if it is missing.

        Raises:
            StoreError: it is damaged, locked, of a newer version, or not a run store.
        """
        self.path = path
        self._lock = threading.RLock()
        self._database = open_database(path)

    def close(self) -> None:
        """Close the file. May be called twice."""
        with self._lock, database_errors(self.path):
            self._database.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()

    def begin(self, run_id: str, fingerprint: str, info: Mapping[str, Any]) -> None:
        """Record that this process starts the run, or takes up one that was cut short.

        Raises:
            StoreError: there is a run of this id that is finished, at work, or of another fingerprint.
        """
        now = time.time()
        row = (run_id, fingerprint, RUNNING, now, now, None, str(ProcessMark.current()), json.dumps(to_json(info)))
        with self._transaction():
            known = self._run_rows("WHERE id = ?", (run_id,))
            if known:
                _require_takeable(known[0], fingerprint)
                self._database.execute(
                    "UPDATE runs SET status = ?, touched = ?, finished = NULL, process = ?, info = ? WHERE id = ?",
                    (RUNNING, now, row[6], json.dumps({**known[0].info, **to_json(info)}), run_id),
                )
            else:
                self._database.execute(f"INSERT INTO runs ({_RUN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def finish(self, run_id: str, status: str, info: Mapping[str, Any] | None = None) -> None:
        """Record the end of a run; ``info`` is laid over what :meth:`begin` was given.

        ``status`` is the caller's word; ``interrupted`` means that the run may be taken up again.

        Raises:
            StoreError: there is no such run.
        """
        with self._transaction():
            known = self._run_rows("WHERE id = ?", (run_id,))
            if not known:
                raise StoreError(f"run {run_id} was never begun")
            merged = json.dumps({**known[0].info, **to_json(info or {})})
            self._database.execute(
                "UPDATE runs SET status = ?, finished = ?, info = ? WHERE id = ?", (status, time.time(), merged, run_id)
            )

    def runs(self, limit: int | None = None) -> list[Run]:
        """Return the runs, newest first."""
        return self._run_rows("ORDER BY started DESC, rowid DESC LIMIT ?", (-1 if limit is None else limit,))

    def run(self, run_id: str) -> Run:
        """Return the run with this id, or the only one whose id begins so.

        Raises:
            StoreError: there is none, or more than one.
        """
        prefixed = self._run_rows("WHERE substr(id, 1, length(?1)) = ?1 ORDER BY started DESC", (run_id,))
        exact = [run for run in prefixed if run.id == run_id]
        if len(found := exact or prefixed) == 1:
            return found[0]
        if found:
            raise StoreError(f"more than one run begins with {run_id!r}: {_listed(found)}")
        recent = self.runs(5)
        hint = f"The latest are {_listed(recent)}" if recent else "There are none yet"
        raise StoreError(f"there is no run {run_id!r} in {self.path}. {hint} (`harness runs` lists all).")

    def unfinished(self, fingerprint: str) -> str | None:
        """Return the newest run of this fingerprint that was cut short, or None.

        A newer run that was finished means that there is nothing to take up.
        """
        rows = self._run_rows("WHERE fingerprint = ? ORDER BY started DESC, rowid DESC", (fingerprint,))
        for run in rows:
            if run.is_unfinished:
                return run.id
            if not run.is_alive:
                return None
        return None

    def put_generation(self, generation: Generation) -> None:
        """Store a reply; it is safe when this returns.

        The first good reply of a key stays. A failed one (``error`` set) is kept too, but never stands
        before a good one.
        """
        self.put_generations((generation,))

    def put_generations(self, generations: Iterable[Generation]) -> None:
        """Store many replies at once, all or none."""
        now = time.time()
        rows = [(g.key, int(g.error is not None), now, compact_json(g)) for g in generations]
        with self._transaction():
            self._database.executemany(
                "INSERT OR IGNORE INTO generations (key, failed, created, body) VALUES (?, ?, ?, ?)", rows
            )

    def generations(self, keys: Iterable[str]) -> dict[str, Generation]:
        """Return what is stored of ``keys``: the good reply, else the latest failed one (``error`` set)."""
        found: dict[str, Generation] = {}
        for chunk, marks in _chunks(keys):
            statement = f"SELECT key, body FROM generations WHERE key IN ({marks}) ORDER BY failed DESC, id"
            bodies = dict(self._select(statement, chunk))  # good rows come last and so win
            found.update((key, self._parse(Generation, body)) for key, body in bodies.items())
        return found

    def good_keys(self, keys: Iterable[str]) -> set[str]:
        """Return those of ``keys`` that have a good reply, without reading it."""
        found: set[str] = set()
        for chunk, marks in _chunks(keys):
            rows = self._select(f"SELECT key FROM generations WHERE failed = 0 AND key IN ({marks})", chunk)
            found.update(key for (key,) in rows)
        return found

    def put_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Append verdicts, all or none."""
        rows = [(v.run, _column(v.nodeid), v.outcome, compact_json(v)) for v in verdicts]
        with self._transaction():
            self._database.executemany("INSERT INTO verdicts (run, nodeid, outcome, body) VALUES (?, ?, ?, ?)", rows)

    def verdicts(self, run_id: str) -> list[Verdict]:
        """Return the verdicts of a run, the last one of each test item, in the order in which they came."""
        rows = self._select(
            "SELECT body FROM verdicts WHERE id IN (SELECT max(id) FROM verdicts WHERE run = ? GROUP BY nodeid) "
            "ORDER BY id",
            (run_id,),
        )
        return [self._parse(Verdict, body) for (body,) in rows]

    def outcomes(self, run_id: str) -> dict[Outcome, int]:
        """Return how many test items of a run ended how, without reading the verdicts themselves."""
        rows = self._select(
            "SELECT outcome, count(*) FROM verdicts WHERE id IN "
            "(SELECT max(id) FROM verdicts WHERE run = ? GROUP BY nodeid) GROUP BY outcome ORDER BY outcome",
            (run_id,),
        )
        return dict(rows)

    def check(self) -> list[str]:
        """Return what SQLite finds wrong with the file; reads all of it."""
        lines = [str(line) for (line,) in self._select("PRAGMA integrity_check", ())]
        return [] if lines == ["ok"] else lines

    def _select(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with self._lock, database_errors(self.path):
            return self._database.execute(statement, values).fetchall()

    def _parse(self, noun: type[_Noun], body: str) -> _Noun:
        try:
            return noun.from_json(json.loads(body))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"the run store {self.path} holds a {noun.__name__} that this version cannot read ({error!r}): "
                "it was written by another version of the harness, or is damaged. Move the file away and run again."
            ) from error

    def _run_rows(self, clause: str, values: Sequence[Any]) -> list[Run]:
        return [_run(row) for row in self._select(f"SELECT {_RUN_COLUMNS} FROM runs {clause}", values)]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, database_errors(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                # SQLite has itself rolled back after some errors (a full disk)
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _chunks(keys: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    """Yield each key once, as many at a time as a statement takes, with the statement's question marks."""
    wanted = iter(dict.fromkeys(keys))
    while chunk := list(islice(wanted, _CHUNK)):
        yield chunk, ",".join("?" * len(chunk))


def _column(text: str) -> str:
    """Return ``text`` without what UTF-8 cannot hold: a test file's name may be any bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _run(row: Sequence[Any]) -> Run:
    run_id, fingerprint, status, started, touched, finished, process, info = row
    mark = ProcessMark.parse(process)
    return Run(run_id, fingerprint, status, started, touched, finished, mark, json.loads(info))


def _listed(runs: Sequence[Run]) -> str:
    return ", ".join(run.id for run in runs)


def _require_takeable(run: Run, fingerprint: str) -> None:
    if run.is_alive:
        raise StoreError(f"run {run.id} is being worked on by process {run.process.pid} on {run.process.host}")
    if not run.is_unfinished:
        raise StoreError(f"run {run.id} is finished ({run.status}): start one with another id")
    if run.fingerprint != fingerprint:
        raise StoreError(f"run {run.id} was begun with other models, data or settings: start one with another id")
