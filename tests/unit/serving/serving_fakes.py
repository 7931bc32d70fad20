"""An OpenAI-compatible endpoint that misbehaves as it is told, and a local engine on a server without a model."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.serving.local import LocalEngine
from harness.serving.transformers_server.job import ServerJob

Answer = Callable[["Handler", dict[str, Any]], None]


def serve_settings(**changes: Any) -> Any:
    """Stands for config.ServeConfig: the attributes are what counts."""
    defaults = {
        "engine": "auto",
        "dtype": "auto",
        "adapter": "auto",
        "max_model_len": None,
        "max_concurrency": 64,
        "start_timeout": 600.0,
        "kv_cache_gib": None,
        "gpu_memory_utilization": 0.9,
        "tensor_parallel_size": 1,
        "enforce_eager": None,
    }
    return SimpleNamespace(**(defaults | changes))


def chat_completion(text: str, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
    return {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.owner.models(self, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner = self.server.owner
        with owner.lock:
            owner.bodies.append(body)
            owner.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = owner.script.pop(0) if owner.script else owner.answer
        answer(self, body)

    def send(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def send_json(self, status: int, body: Any, **headers: str) -> None:
        self.send(status, json.dumps(body).encode(), **headers)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: FakeEndpoint


def echo(handler: Handler, body: dict[str, Any]) -> None:
    handler.send_json(200, chat_completion("echo: " + body["messages"][-1]["content"]))


def list_models(handler: Handler, body: dict[str, Any]) -> None:
    handler.send_json(200, {"data": [{"id": "gpt-test"}]})


def refuse(status: int, message: str, **headers: str) -> Answer:
    return lambda handler, body: handler.send_json(status, {"error": {"message": message}}, **headers)


class FakeEndpoint:
    """``script`` holds the next answers, one a request; after it ``answer`` answers."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.answer: Answer = echo
        self.models: Answer = list_models
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class StubEngine(LocalEngine):
    """Our own server with a stub in the model's place; ``behaviour`` is what the stub does."""

    behaviour = "answer"
    listed: str | None = None

    @property
    def name(self) -> str:
        return "stub"

    def command(self, address, model, chat):
        lora = self.plan.mode == "lora"
        job = ServerJob(
            model=str(model),
            adapter=None,
            model_name=self.listed or self.model,
            base_name=self.base_model if lora else None,
            device="cpu",
            dtype="float32",
            max_model_len=self.plan.max_model_len,
            batch_size=4,
            socket=str(address.socket) if address.socket else None,
            port=address.port,
            template=chat.template if chat else None,
        )
        env = {"HARNESS_SERVE_KEY": address.key} if address.key else {}
        return [sys.executable, str(Path(__file__).with_name("stub_child.py")), job.dump(), self.behaviour], env

    def refusal(self, request):
        return None
