"""How xdist workers ask the controller's engine for one more reply: JSON over a unix socket.

Only processes that hold the key (handed over in a file that nobody else can read) are answered.
Messages are JSON, never pickles.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from harness.errors import EngineError, HarnessError
from harness.types import Case, Generation, to_json

Ask = Callable[[Case, int], Generation]
_BROKEN = (EOFError, OSError)


class Broker:
    """Answers workers from the controller, one reply at a time."""

    def __init__(self, path: Path, key: bytes, ask: Ask) -> None:
        """Listen at ``path`` at once; ``ask`` is called from threads of the broker, never twice at a time."""
        self._ask = ask
        self._turn = threading.Lock()
        self._listener = Listener(str(path), family="AF_UNIX", authkey=key)
        self._closed = threading.Event()
        threading.Thread(target=self._accept, name="ft-broker", daemon=True).start()

    def _accept(self) -> None:
        from multiprocessing import AuthenticationError

        while True:
            try:
                connection = self._listener.accept()
            except AuthenticationError:
                continue
            except _BROKEN:
                if self._closed.is_set():
                    return
                continue
            threading.Thread(target=self._serve, args=(connection,), name="ft-broker-worker", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with connection:
            while True:
                try:
                    request = json.loads(connection.recv_bytes())
                    case, repeat = Case.from_json(request["case"]), int(request["repeat"])
                except (*_BROKEN, ValueError, KeyError, TypeError):
                    return  # the worker is gone, or it is none of ours
                answer = json.dumps(self._answer(case, repeat)).encode()
                try:
                    connection.send_bytes(answer)
                except _BROKEN:
                    return

    def _answer(self, case: Case, repeat: int) -> dict[str, object]:
        try:
            with self._turn:
                return {"generation": to_json(self._ask(case, repeat))}
        except HarnessError as error:
            return {"error": str(error)}

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        self._listener.close()


class BrokerClient:
    """A worker's line to the controller; connects on first use."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Touch nothing yet."""
        self._path = path
        self._key = key
        self._connection: Connection | None = None

    def ask(self, case: Case, repeat: int) -> Generation:
        """Return the reply to ``case``.

        Raises:
            EngineError: the engine failed, or the controller is gone.
        """
        try:
            if self._connection is None:
                self._connection = Client(str(self._path), family="AF_UNIX", authkey=self._key)
            self._connection.send_bytes(json.dumps({"case": to_json(case), "repeat": repeat}).encode())
            answer = json.loads(self._connection.recv_bytes())
        except _BROKEN as error:
            raise EngineError(
                f"the pytest-xdist controller, which holds the engine, does not answer: {error}"
            ) from None
        if "error" in answer:
            raise EngineError(answer["error"])
        return Generation.from_json(answer["generation"])
