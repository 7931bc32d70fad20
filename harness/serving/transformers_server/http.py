"""The HTTP side of the server, on a unix socket or on the loopback."""

from __future__ import annotations

import hmac
import json
import queue
import socket
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.errors import GrammarError, TemplateError
from harness.serving.grammar import check_grammar
from harness.serving.transformers_server.ask import Answer, Ask, BadRequest, read_ask
from harness.serving.transformers_server.batcher import Batcher
from harness.serving.transformers_server.job import ServerJob
from harness.serving.transformers_server.prompt import prompt_ids


class CompletionsServer(ThreadingHTTPServer):
    """One thread a connection; the batcher's thread does the work."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, job: ServerJob, batcher: Batcher, key: str | None) -> None:
        """Bind the address; nothing is answered before :meth:`serve_forever`."""
        self.job = job
        self.batcher = batcher
        self.key = key
        if job.socket:
            self.address_family = socket.AF_UNIX
        super().__init__(job.socket or ("127.0.0.1", job.port or 0), Handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        """Bind without asking for a host name, which a unix socket does not have."""
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0

    @property
    def names(self) -> list[str]:
        """The models that are served."""
        return [name for name in (self.job.base_name, self.job.model_name) if name]


class Handler(BaseHTTPRequestHandler):
    """``/health``, ``/v1/models``, ``/v1/completions``, ``/v1/chat/completions``."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = False
    server: CompletionsServer

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""

    def address_string(self) -> str:
        """A unix socket's peer has no address."""
        return "local"

    def do_GET(self) -> None:
        """Answer the two questions that need no work."""
        if self.path == "/health":
            self._send(200, {})
        elif not self._allowed():
            self._fail(401, "the API key is wrong or missing")
        elif self.path == "/v1/models":
            models = [{"id": name, "object": "model", "owned_by": "harness"} for name in self.server.names]
            self._send(200, {"object": "list", "data": models})
        else:
            self._fail(404, f"no such path: {self.path}")

    def do_POST(self) -> None:
        """Answer a completion."""
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._allowed():
            return self._fail(401, "the API key is wrong or missing")
        if self.path not in ("/v1/completions", "/v1/chat/completions"):
            return self._fail(404, f"no such path: {self.path}")
        try:
            body = json.loads(content)
            if not isinstance(body, dict):
                raise BadRequest("the body is a JSON object")
            chat = self.path.endswith("/chat/completions")
            ask = self._ask(body, chat=chat)
            self.server.batcher.put(ask)
            if ask.pieces is not None:
                return self._stream(ask, ask.pieces, chat=chat)
            self._send(200, self._body(ask, ask.answer.result(), chat=chat))
        except (BadRequest, GrammarError, TemplateError, ValueError, TypeError, KeyError) as error:
            self._fail(400, str(error) or type(error).__name__)
        except Exception as error:
            self._fail(500, f"{type(error).__name__}: {error}")
        return None

    def _ask(self, body: Mapping[str, Any], *, chat: bool) -> Ask:
        if body.get("model") not in self.server.names:
            raise BadRequest(f"the model {body.get('model')!r} does not exist; served are {self.server.names}")
        ids, stops = prompt_ids(self.server.job, body, chat=chat)
        limit = self.server.job.max_model_len
        if chat and body.get("max_tokens") is None:
            body = {**body, "max_tokens": body.get("max_completion_tokens") or max(1, limit - len(ids))}
        if stops:
            body = {**body, "stop_token_ids": [*(body.get("stop_token_ids") or ()), *stops]}
        ask = read_ask(body, ids, limit=limit, stream=bool(body.get("stream")))
        if ask.grammar is not None:
            check_grammar(ask.grammar, "transformers")
        return ask

    def _body(self, ask: Ask, answer: Answer, *, chat: bool) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": answer.finish_reason, "token_ids": answer.token_ids}
        if chat:
            choice["message"] = {"role": "assistant", "content": answer.text}
        else:
            choice |= {"text": answer.text, "prompt_token_ids": ask.prompt_ids}
        if answer.prompt_logprobs is not None:
            scored = zip(ask.prompt_ids[1:], answer.prompt_logprobs, strict=True)
            choice["prompt_logprobs"] = [None, *({str(token): {"logprob": value}} for token, value in scored)]
        usage = {"prompt_tokens": len(ask.prompt_ids), "completion_tokens": len(answer.token_ids)}
        usage["total_tokens"] = sum(usage.values())
        return {**_head(ask, chat=chat), "choices": [choice], "usage": usage}

    def _stream(self, ask: Ask, pieces: queue.SimpleQueue[str | None], *, chat: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            while (piece := pieces.get()) is not None:
                self._event(ask, {"text": piece}, None, chat=chat)
            answer = ask.answer.result()
            self._event(ask, {"text": ""}, answer.finish_reason, chat=chat)
        except OSError:
            ask.cancelled = True  # nobody listens any more: the row ends with the next token
            return
        except Exception as error:
            self._write(json.dumps({"error": {"message": str(error)}}))
        self._write("[DONE]")

    def _event(self, ask: Ask, content: dict[str, str], finish: str | None, *, chat: bool) -> None:
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
        choice |= {"delta": {"content": content["text"]}} if chat else content
        self._write(json.dumps({**_head(ask, chat=chat, chunk=True), "choices": [choice]}))

    def _write(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def _allowed(self) -> bool:
        given = (self.headers.get("Authorization") or "").encode()
        return self.server.key is None or hmac.compare_digest(given, f"Bearer {self.server.key}".encode())

    def _fail(self, status: int, message: str) -> None:
        self._send(status, {"error": {"message": message, "type": "error", "code": status}})

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _head(ask: Ask, *, chat: bool, chunk: bool = False) -> dict[str, Any]:
    kind = ("chat.completion.chunk" if chunk else "chat.completion") if chat else "text_completion"
    return {"id": f"cmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": ask.model}
