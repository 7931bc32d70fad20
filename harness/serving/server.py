"""A model server in a child process, reached over a unix socket that only we know."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.process import Child
from harness.protocols import OnEvent
from harness.serving.failures import engine_died, plain

_PREFIX = "ft-harness-"
_POLL_SECONDS = 0.2
_DIAGNOSED_LINES = 400
_STAGES: tuple[tuple[str, str], ...] = (
    (r"Application startup complete|Starting vLLM server|listening", "answering soon"),
    (r"KV cache|init engine|warm(?:ing|ed)? up|[Cc]ompil", "preparing the cache"),
    (r"[Ll]oading (?:weights|safetensors|model)|Model loading took|Starting to load", "loading weights"),
)
Command = tuple[Sequence[str], Mapping[str, str]]
"""Argv, and what the environment differs in."""


@dataclass(frozen=True)
class ChatFormat:
    """How a server renders the chat requests of other people's clients, and what ends its replies."""

    template: str
    """Jinja text."""
    stop_ids: tuple[int, ...]


@dataclass(frozen=True)
class Address:
    """Where a server answers: a unix socket, or a port of the loopback with a key."""

    socket: Path | None = None
    port: int | None = None
    key: str | None = None

    @property
    def url(self) -> str:
        """The API's root for somebody else's client."""
        return f"http://127.0.0.1:{self.port}/v1"


class ModelServer:
    """The child, its socket and its log."""

    def __init__(self, engine: str, log: Path) -> None:
        """Nothing is started yet."""
        self.engine = engine
        self.log = log
        self.address = Address()
        self.folder: Path | None = None
        self.child: Child | None = None
        self._lock: int | None = None
        self.seconds_to_start = 0.0

    def start(
        self,
        command: Callable[[Address], Command],
        names: Sequence[str],
        timeout: float,
        on_event: OnEvent,
        public: Address | None = None,
    ) -> None:
        """Start the child and return when it serves every model of ``names``, on a socket of ours or ``public``ly.

        Raises:
            EngineError: it died, serves something else, or is not ready after ``timeout`` seconds.
        """
        started = time.monotonic()
        self.folder, self._lock = _socket_folder()
        self.address = public or Address(socket=self.folder / "s")
        argv, env = command(self.address)
        self.log.unlink(missing_ok=True)  # the lines of an earlier start must not explain this one
        self.child = Child.start(argv, name=f"{self.engine} engine", log=self.log, env=env)
        on_event({"event": "engine_starting", "engine": self.engine, "models": list(names), "log": str(self.log)})
        stage, told = "", started
        while True:
            self.check_alive("while starting")
            if self._serves(names):
                break
            now = time.monotonic()
            if now - started > timeout:
                raise self._too_slow(timeout)
            if (current := self._stage()) != stage or now - told > 5:
                stage, told = current, now
                on_event({"event": "engine_progress", "engine": self.engine, "stage": stage, "seconds": now - started})
            time.sleep(_POLL_SECONDS)
        self.seconds_to_start = time.monotonic() - started
        on_event({"event": "engine_ready", "engine": self.engine, "seconds": self.seconds_to_start})

    def check_alive(self, when: str = "while answering") -> None:
        """Raise when the child has ended.

        Raises:
            EngineError: with the cause, where the child's lines tell it, and its last lines.
        """
        if self.child is None:
            raise EngineError(f"the {self.engine} engine is not started")
        code = self.child.poll()
        if code is not None:
            raise engine_died(self.engine, when, self.child.tail(_DIAGNOSED_LINES), code)

    def get(self, path: str, timeout: float = 5.0) -> tuple[int, bytes]:
        """GET ``path`` over the socket; status 0 where nothing answers."""
        connection = _Connection(self.address, timeout)
        headers = {"Authorization": f"Bearer {self.address.key}"} if self.address.key else {}
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def stop(self) -> None:
        """End the child's whole tree and remove the socket. May be called twice."""
        if self.child is not None:
            self.child.stop()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _serves(self, names: Sequence[str]) -> bool:
        status, body = self.get("/v1/models")
        if status == 0:
            return False
        served = _model_ids(body) if status == 200 else []
        if missing := [name for name in names if name not in served]:
            raise EngineError(
                f"the {self.engine} engine answers, but serves {served or f'status {status}'} instead of {missing}",
                [plain(line) for line in self.child.tail()] if self.child else (),
            )
        return True

    def _stage(self) -> str:
        lines = self.child.tail(60) if self.child else []
        for line in reversed(lines):
            for pattern, stage in _STAGES:
                if re.search(pattern, line):
                    return stage
        return "importing"

    def _too_slow(self, timeout: float) -> EngineError:
        tail = [plain(line) for line in self.child.tail()] if self.child else []
        return EngineError(
            f"the {self.engine} engine is not ready after {timeout:.0f} s; if it needs longer: serve.start_timeout",
            tail,
        )


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__("127.0.0.1", address.port, timeout=timeout)
        self._socket = address.socket

    def connect(self) -> None:
        if self._socket is None:
            return super().connect()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        return self.sock.connect(str(self._socket))


def _model_ids(body: bytes) -> list[str]:
    try:
        data: Any = json.loads(body)
        return [str(model["id"]) for model in data["data"]]
    except (ValueError, KeyError, TypeError):
        return []


def _socket_folder() -> tuple[Path, int]:
    """Make a private folder with a short path (a unix socket's is limited to about 100 bytes), and hold its lock."""
    parent = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")
    if not os.access(parent, os.W_OK) or len(str(parent)) > 60:
        parent = Path("/tmp")
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def _sweep(parent: Path) -> None:
    """Remove what runs left that were killed before they could: their locks are free."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.getuid():
                continue
            lock = os.open(folder / "lock", os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
