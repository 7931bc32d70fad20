"""Serving to other people's clients (``harness serve``), and token by token (``harness chat``)."""

from __future__ import annotations

import dataclasses
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from harness.errors import EngineError
from harness.protocols import OnEvent
from harness.serving.local import LocalEngine
from harness.serving.server import Address, ChatFormat
from harness.types import Decoding, Request


@dataclasses.dataclass(frozen=True)
class Served:
    """What a client needs to know."""

    url: str
    key: str
    models: tuple[str, ...]


def serve_foreground(
    engine: LocalEngine,
    *,
    template: str | None,
    stop_ids: Sequence[int] = (),
    port: int = 0,
    on_event: OnEvent,
    check: Callable[[], object] = lambda: None,
    on_ready: Callable[[Served], None],
) -> None:
    """Serve ``engine`` (unstarted) OpenAI-compatibly on 127.0.0.1 until Ctrl-C; ``port`` 0 takes a free one.

    ``template`` is the jinja text with which chat requests are rendered, ``stop_ids`` end their replies. The key is
    made anew for each start and is told to ``on_ready`` only, once ``check`` has seen that the right model is served.

    Raises:
        EngineError: the port is taken, the engine did not come up, or it died.
    """
    address = Address(port=free_port(port), key=secrets.token_urlsafe(24))
    try:
        engine.start_public(on_event, address, ChatFormat(template, tuple(stop_ids)) if template else None)
        check()
        on_ready(Served(address.url, address.key or "", tuple(engine.served_names)))
        while True:
            engine.server.check_alive("while serving")
            time.sleep(0.2)
    except KeyboardInterrupt:
        return
    finally:
        engine.close()


def free_port(wanted: int) -> int:
    """Return ``wanted``, or a free port for 0.

    Raises:
        EngineError: the port is taken or not ours to take.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except (OSError, OverflowError) as error:
            raise EngineError(
                f"port {wanted} of 127.0.0.1 cannot be used: {error}.\n  To do: --port 0 takes a free one."
            ) from None
        return int(probe.getsockname()[1])


def chat_stream(
    engine: LocalEngine,
    prompt_ids: Sequence[int],
    stop_ids: Sequence[int],
    decoding: Decoding,
    *,
    base: bool = False,
) -> Iterator[str]:
    """Yield the text of one reply as the started engine writes it; ``base`` asks the model without its adapter.

    The reply is shorter than ``decoding.max_tokens`` where the context ends before.

    Raises:
        EngineError: the engine died, or the prompt leaves no room for a reply.
    """
    room = engine.max_model_len - len(prompt_ids)
    if room < 1:
        raise EngineError(
            f"the conversation's {len(prompt_ids)} tokens fill serve.max_model_len {engine.max_model_len}"
        )
    request = Request(
        key="chat",
        case_id="chat",
        messages=(),
        tools=(),
        decoding=dataclasses.replace(decoding, max_tokens=min(decoding.max_tokens, room)),
        prompt_ids=tuple(prompt_ids),
        stop_ids=tuple(stop_ids),
    )
    yield from engine.stream(request, base=base)
