"""The openai client, pointed at a unix socket of ours or at somebody's URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import AsyncOpenAI


def open_socket_client(path: Path, concurrency: int, timeout: float | None) -> AsyncOpenAI:
    """Return a client for a server on a unix socket. It never retries: the child is watched instead."""
    import httpx2
    from openai import AsyncOpenAI

    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    transport = httpx2.AsyncHTTPTransport(uds=str(path), limits=limits)
    # trust_env: a proxy of the environment must not get between us and a socket
    http = httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout)
    return AsyncOpenAI(base_url="http://localhost/v1", api_key="none", http_client=http, max_retries=0, timeout=timeout)


def open_url_client(
    url: str, key: str, *, concurrency: int, timeout: float | None, retries: int, use_proxies: bool
) -> AsyncOpenAI:
    """Return a client for a server at a URL; it waits and retries as the server asks."""
    import httpx2
    from openai import AsyncOpenAI

    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    http = httpx2.AsyncClient(limits=limits, trust_env=use_proxies, timeout=timeout, follow_redirects=False)
    return AsyncOpenAI(base_url=url, api_key=key, http_client=http, max_retries=retries, timeout=timeout)


async def post(client: AsyncOpenAI, path: str, body: Mapping[str, Any]) -> bytes:
    """POST ``body`` and return the response's bytes; the client's own errors are left as they are."""
    import httpx2

    response = await client.post(path, body=body, cast_to=httpx2.Response)
    return response.content


async def stream_text(client: AsyncOpenAI, body: Mapping[str, Any]) -> AsyncIterator[str]:
    """Yield the pieces of text of a streamed completion."""
    known = {"model": body["model"], "prompt": body["prompt"]}
    extra = {key: value for key, value in body.items() if key not in known}
    stream = await client.completions.create(**known, stream=True, extra_body=extra)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].text:
            yield chunk.choices[0].text
