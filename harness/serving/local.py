"""What the engines that we start ourselves have in common: a server in a child process, one client, one protocol."""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import EngineError
from harness.protocols import OnEvent, OnReply
from harness.serving.client import open_socket_client, open_url_client, post, stream_text
from harness.serving.dispatch import Dispatcher
from harness.serving.plan import ServePlan
from harness.serving.probe import check_grammar_binds
from harness.serving.server import Address, ChatFormat, Command, ModelServer
from harness.serving.wire import completion_body, error_text, read_completion, read_scores, score_body
from harness.types import Adapter, Base, Reply, Request

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MergedFolder = Callable[[], Path]
"""Makes (or finds) the folder of the base with the adapter merged in."""


class LocalEngine(ABC):
    """A served base, with or without an adapter."""

    def __init__(
        self, plan: ServePlan, base: Base, adapter: Adapter | None, *, merged: MergedFolder | None, work: Path
    ) -> None:
        """Nothing is started; ``work`` receives the server's log."""
        self.plan = plan
        self.base = base
        self.adapter = adapter
        self._merged = merged
        self.server = ModelServer(self.name, work / f"{self.name}-{self.model}.log")
        self._dispatcher = Dispatcher(plan.concurrency)
        self._client: AsyncOpenAI | None = None
        self._grammar_binds = False

    @property
    @abstractmethod
    def name(self) -> str:
        """The engine's name."""

    @abstractmethod
    def command(self, address: Address, model: Path, chat: ChatFormat | None) -> Command:
        """Return argv and environment of the server; ``chat`` is for the requests of other people's clients."""

    @abstractmethod
    def refusal(self, request: Request) -> str | None:
        """Say why the engine cannot answer such a request at all, or None."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """See :class:`harness.protocols.Engine`."""
        return self.plan.identity

    @property
    def wants_ids(self) -> bool:
        """Requests carry prompt ids."""
        return True

    @property
    def max_model_len(self) -> int:
        """Longest prompt and reply together, in tokens."""
        return self.plan.max_model_len

    @property
    def base_model(self) -> str:
        """The name under which the base is served."""
        return f"base-{self.base.content_hash[:8]}"

    @property
    def model(self) -> str:
        """The name of the model under test; names come from the content, so that no cache can mix models up."""
        return f"adapter-{self.adapter.content_hash[:8]}" if self.adapter else self.base_model

    @property
    def served_names(self) -> list[str]:
        """Every model name that the server must list."""
        return [self.base_model, self.model] if self.plan.mode == "lora" else [self.model]

    def start(self, on_event: OnEvent) -> None:
        """See :class:`harness.protocols.Engine`."""
        self._start_server(on_event, None, None)
        assert self.server.address.socket is not None
        self._client = open_socket_client(self.server.address.socket, self.plan.concurrency, None)

    def start_public(self, on_event: OnEvent, address: Address, chat: ChatFormat | None) -> None:
        """Start for other people's clients: on a port of the loopback, with chat completions."""
        self._start_server(on_event, address, chat)
        self._client = open_url_client(
            address.url,
            address.key or "none",
            concurrency=self.plan.concurrency,
            timeout=None,
            retries=0,
            use_proxies=False,
        )

    def _start_server(self, on_event: OnEvent, address: Address | None, chat: ChatFormat | None) -> None:
        model = self._model_folder()
        try:
            self.server.start(
                lambda where: self.command(where, model, chat),
                self.served_names,
                self.plan.start_timeout,
                on_event,
                address,
            )
        except BaseException:
            self.close()
            raise

    def _model_folder(self) -> Path:
        if self.plan.mode != "merged":
            return self.base.path
        if self._merged is None:
            raise EngineError("serving a merged adapter needs the merged folder, and none was handed over")
        return self._merged()

    def describe(self) -> Mapping[str, Any]:
        """See :class:`harness.protocols.Engine`."""
        return {
            **self.plan.identity,
            "model": self.model,
            "max_model_len": self.plan.max_model_len,
            "concurrency": self.plan.concurrency,
            "kv_cache_bytes": self.plan.kv_cache_bytes,
            "adapter_kind": self.adapter.kind if self.adapter else None,
            "served_on": f"the {self.plan.dtype} base" if self.adapter else None,
            "generation_config": "none: every sampling parameter is sent with the request",
            "seconds_to_start": round(self.server.seconds_to_start, 2),
            "log": str(self.server.log),
        }

    def generate(self, requests: Sequence[Request], on_reply: OnReply) -> None:
        """See :class:`harness.protocols.Engine`."""
        possible: list[Request] = []
        for request in requests:
            if (refusal := self.refusal(request) or self._too_long(request)) is not None:
                on_reply(request, Reply("", prompt_tokens=len(request.prompt_ids), error=refusal))
            else:
                possible.append(request)
        constrained = next((request for request in possible if request.grammar is not None), None)
        if constrained is not None and not self._grammar_binds:
            check_grammar_binds(self.name, constrained, self._reply_now)
            self._grammar_binds = True
        for request, reply in self._dispatcher.map(possible, self._send, self.server.check_alive):
            on_reply(request, reply)

    def stream(self, request: Request, *, base: bool = False) -> Iterator[str]:
        """Yield the reply's text as it is made; ``base`` asks the model without its adapter."""
        if (refusal := self.refusal(request) or self._too_long(request)) is not None:
            raise EngineError(refusal)
        body = completion_body(request, self._name_of(base=base)) | {"stream": True}
        yield from self._dispatcher.stream(stream_text(self._ready(), body), self.server.check_alive)

    def score(self, token_ids: Sequence[int], *, base: bool = False) -> list[float]:
        """See :class:`harness.protocols.Engine`."""
        if len(token_ids) >= self.plan.max_model_len:
            raise EngineError(f"{len(token_ids)} tokens do not fit into serve.max_model_len {self.plan.max_model_len}")
        body = score_body(token_ids, self._name_of(base=base))
        ((_, content),) = self._dispatcher.map([body], self._post_scores, self.server.check_alive)
        return read_scores(json.loads(content), token_ids)

    def close(self) -> None:
        """See :class:`harness.protocols.Engine`."""
        if self._client is not None:
            self._dispatcher.call(self._client.close())
            self._client = None
        self._dispatcher.close()
        self.server.stop()

    def _ready(self) -> AsyncOpenAI:
        if self._client is None:
            raise EngineError(f"the {self.name} engine is not started")
        return self._client

    def _name_of(self, *, base: bool) -> str:
        if base and self.plan.mode == "merged":
            raise EngineError(
                "a merged adapter is served without its base beside it.\n  To do: serve.adapter: lora serves both."
            )
        return self.base_model if base else self.model

    def _too_long(self, request: Request) -> str | None:
        wanted = len(request.prompt_ids) + request.decoding.max_tokens
        if not request.prompt_ids:
            return "the prompt has no tokens"
        if wanted > self.plan.max_model_len:
            return (
                f"prompt of {len(request.prompt_ids)} tokens + max_tokens {request.decoding.max_tokens} = {wanted} "
                f"is more than serve.max_model_len {self.plan.max_model_len}"
            )
        return None

    def _reply_now(self, request: Request) -> Reply:
        ((_, reply),) = self._dispatcher.map([request], self._send, self.server.check_alive)
        return reply

    async def _send(self, request: Request) -> Reply:
        import openai

        started = time.monotonic()
        try:
            content = await post(self._ready(), "/completions", completion_body(request, self.model))
        except openai.APIStatusError as error:
            await self._check_health(error.status_code)
            return Reply("", prompt_tokens=len(request.prompt_ids), error=error_text(error.response.content))
        except openai.APIConnectionError as error:
            raise await self._lost(error) from None
        return read_completion(json.loads(content), request, time.monotonic() - started)

    async def _post_scores(self, body: Mapping[str, Any]) -> bytes:
        import openai

        try:
            return await post(self._ready(), "/completions", body)
        except openai.APIStatusError as error:
            await self._check_health(error.status_code)
            raise EngineError(f"the {self.name} engine cannot score: {error_text(error.response.content)}") from None
        except openai.APIConnectionError as error:
            raise await self._lost(error) from None

    async def _check_health(self, status: int) -> None:
        """A refused request is the request's affair; after a 500, ask whether the engine behind it still lives."""
        if status >= 500 and (await asyncio.to_thread(self.server.get, "/health"))[0] != 200:
            raise await self._lost(None)

    async def _lost(self, error: Exception | None) -> EngineError:
        """Give the child a moment to end, so that its own last words are in the message."""
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            try:
                self.server.check_alive()
            except EngineError as died:
                return died
            await asyncio.sleep(0.1)
        cause = error.__cause__ or error if error else None
        tail = self.server.child.tail() if self.server.child else ()
        return EngineError(f"the {self.name} engine stopped answering" + (f": {cause}" if cause else ""), tail)
