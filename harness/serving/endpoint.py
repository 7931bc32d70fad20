"""Any OpenAI-compatible server, somebody else's or one's own."""

from __future__ import annotations

import ipaddress
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.errors import EngineError
from harness.protocols import OnEvent, OnReply
from harness.serving.client import open_url_client, post
from harness.serving.dispatch import Dispatcher
from harness.serving.grammar import endpoint_fields
from harness.serving.messages import read_content, read_tool_calls, write_message, write_tools
from harness.serving.probe import check_grammar_binds
from harness.serving.wire import error_text, finish_reason
from harness.types import Reply, Request

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

KEY_VARIABLE = "OPENAI_API_KEY"
_GIVE_UP_AFTER = 5
"""So many requests in a row that fail on the server's side, none answered: the endpoint is down."""


class EndpointEngine:
    """Chat completions of one model at one URL. The key comes from ``OPENAI_API_KEY`` and is stored nowhere."""

    def __init__(
        self, url: str, model: str, *, concurrency: int = 64, timeout: float = 300.0, retries: int = 6
    ) -> None:
        """``url`` is the API's root, most often ending in ``/v1``; ``timeout`` is per request, in seconds.

        Raises:
            EngineError: the URL is not one.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EngineError(f"the endpoint {url!r} is not an http(s) URL, such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password:
            raise EngineError(f"the endpoint's URL carries a password; put the key into {KEY_VARIABLE} instead")
        self.url = url.rstrip("/")
        self.model = model
        self._loopback = _is_loopback(parts.hostname)
        self._plain = parts.scheme == "http"
        self._timeout = timeout
        self._retries = retries
        self._dispatcher = Dispatcher(concurrency)
        self._client: AsyncOpenAI | None = None
        self._failed_in_a_row = 0
        self._grammar_binds = False
        self._length_field = "max_tokens"

    @property
    def name(self) -> str:
        """See :class:`harness.protocols.Engine`."""
        return "endpoint"

    @property
    def identity(self) -> Mapping[str, Any]:
        """See :class:`harness.protocols.Engine`."""
        return {"engine": "endpoint", "url": self.url, "model": self.model}

    @property
    def wants_ids(self) -> bool:
        """Requests carry messages; the endpoint applies its own template."""
        return False

    def start(self, on_event: OnEvent) -> None:
        """Ask for the list of models: is somebody there, and does the key open?"""
        self.close()
        started = time.monotonic()
        if self._plain and not self._loopback:
            on_event(
                {"event": "warning", "message": f"{self.url} is plain http: prompts and the key travel unencrypted"}
            )
        self._client = open_url_client(
            self.url,
            os.environ.get(KEY_VARIABLE) or "none",
            concurrency=self._dispatcher.concurrency,
            timeout=self._timeout,
            retries=self._retries,
            use_proxies=not self._loopback,
        )
        listed = self._dispatcher.call(self._models())
        if listed and self.model not in listed:
            shown = ", ".join(listed[:10])
            on_event({"event": "warning", "message": f"{self.url} does not list {self.model!r}; it lists {shown}"})
        seconds = time.monotonic() - started
        on_event(
            {"event": "engine_ready", "engine": self.name, "url": self.url, "model": self.model, "seconds": seconds}
        )

    def describe(self) -> Mapping[str, Any]:
        """See :class:`harness.protocols.Engine`."""
        return {**self.identity, "concurrency": self._dispatcher.concurrency, "template": "the endpoint's own"}

    def generate(self, requests: Sequence[Request], on_reply: OnReply) -> None:
        """See :class:`harness.protocols.Engine`."""
        if any(request.decoding.beams > 1 for request in requests):
            raise EngineError("an endpoint cannot do beam search; serve.engine: transformers can")
        constrained = next((request for request in requests if request.grammar is not None), None)
        if constrained is not None and not self._grammar_binds:
            check_grammar_binds(self.name, constrained, self._reply_now)
            self._grammar_binds = True
        for request, reply in self._dispatcher.map(list(requests), self._send, _always):
            on_reply(request, reply)

    def score(self, token_ids: Sequence[int], *, base: bool = False) -> list[float]:
        """No endpoint scores token ids.

        Raises:
            EngineError: always.
        """
        del token_ids, base
        raise EngineError("an endpoint cannot score token ids; serve.engine: vllm or transformers can")

    def close(self) -> None:
        """See :class:`harness.protocols.Engine`."""
        if self._client is not None:
            self._dispatcher.call(self._client.close())
            self._client = None
        self._dispatcher.close()

    def _ready(self) -> AsyncOpenAI:
        if self._client is None:
            raise EngineError("the endpoint engine is not started")
        return self._client

    def _reply_now(self, request: Request) -> Reply:
        ((_, reply),) = self._dispatcher.map([request], self._send, _always)
        return reply

    async def _models(self) -> list[str]:
        """Return the ids that the endpoint lists; many list none, and that is no error."""
        import httpx2
        import openai

        try:
            response = await self._ready().get("/models", cast_to=httpx2.Response)
            return [str(model["id"]) for model in response.json()["data"]]
        except openai.AuthenticationError as error:
            raise self._refused(error) from None
        except openai.APIStatusError:
            return []
        except openai.APIConnectionError as error:
            raise self._unreachable(error) from None
        except (ValueError, KeyError, TypeError):
            return []

    async def _send(self, request: Request) -> Reply:
        import openai

        started = time.monotonic()
        body = chat_body(request, self.model, self._length_field)
        try:
            content = await post(self._ready(), "/chat/completions", body)
        except openai.BadRequestError as error:
            return await self._refused_length(request, error)
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise self._refused(error) from None
        except openai.APIStatusError as error:
            return self._failed(error.status_code, error_text(error.response.content))
        except openai.APITimeoutError:
            return self._failed(None, f"no answer within {self._timeout:.0f} s")
        except openai.APIConnectionError as error:
            raise self._unreachable(error) from None
        self._failed_in_a_row = 0
        return read_chat(content, time.monotonic() - started)

    async def _refused_length(self, request: Request, error: APIStatusError) -> Reply:
        """Newer models take ``max_completion_tokens`` only, and say so."""
        message = error_text(error.response.content)
        if self._length_field == "max_tokens" and "max_completion_tokens" in message:
            self._length_field = "max_completion_tokens"
            return await self._send(request)
        return Reply("", error=f"{self.url} refused the request: {message}")

    def _failed(self, status: int | None, message: str) -> Reply:
        """One request that failed after its retries; several in a row mean that the endpoint is down."""
        said = f"status {status}: {message}" if status else message
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= _GIVE_UP_AFTER:
            raise EngineError(f"{self.url} failed {_GIVE_UP_AFTER} requests in a row, the last with {said}")
        return Reply("", error=f"{self.url}: {said}")

    def _refused(self, error: APIStatusError) -> EngineError:
        said = error_text(error.response.content)
        if error.status_code == 404:
            return EngineError(
                f"{self.url} has no model {self.model!r}, or is not an API's root (most end in /v1): status 404: {said}"
            )
        key = f"the key in {KEY_VARIABLE}" if os.environ.get(KEY_VARIABLE) else f"no key ({KEY_VARIABLE} is not set)"
        return EngineError(f"{self.url} refuses {key}: status {error.status_code}: {said}")

    def _unreachable(self, error: Exception) -> EngineError:
        return EngineError(f"{self.url} cannot be reached: {error.__cause__ or error}")


def chat_body(request: Request, model: str, length_field: str = "max_tokens") -> dict[str, Any]:
    """Return the body of ``/chat/completions``; fields outside OpenAI's API are sent only where they are needed."""
    decoding = request.decoding
    body: dict[str, Any] = {
        "model": model,
        "messages": [write_message(message) for message in request.messages],
        length_field: decoding.max_tokens,
        "temperature": decoding.temperature,
        "seed": decoding.seed + request.repeat,
    }
    if request.tools:
        body["tools"] = write_tools(request.tools)
    if decoding.top_p != 1.0:
        body["top_p"] = decoding.top_p
    if decoding.stop:
        body["stop"] = list(decoding.stop)
    if decoding.top_k:
        body["top_k"] = decoding.top_k
    if decoding.repetition_penalty != 1.0:
        body["repetition_penalty"] = decoding.repetition_penalty
    return body | (endpoint_fields(request.grammar) if request.grammar else {})


def read_chat(content: bytes, seconds: float) -> Reply:
    """Turn the body of a chat completion into a reply; a body that is none becomes a reply with an error."""
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        message = choice["message"]
        calls, broken = read_tool_calls(message.get("tool_calls") or ())
        text = read_content(message.get("content"))
        usage = body.get("usage") or {}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Reply("", seconds=seconds, error=f"the answer is not a chat completion: {error_text(content)}")
    if message.get("refusal") and not text:
        text = str(message["refusal"])
    return Reply(
        # a call whose arguments are not JSON is what the model wrote: it stays visible, and no call is made of it
        text="\n".join([text, *broken]).strip("\n") if broken else text,
        finish_reason=finish_reason(choice.get("finish_reason")),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        seconds=seconds,
        tool_calls=calls,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _always() -> None:
    """An endpoint has no child that could have died."""
