"""One request inside the server, from its JSON body to its answer."""

from __future__ import annotations

import json
import queue
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from harness.types import Grammar


class BadRequest(ValueError):
    """The client's fault: answered with status 400."""


@dataclass
class Answer:
    """What came out for one request."""

    text: str
    token_ids: list[int]
    finish_reason: str
    prompt_logprobs: list[float] | None = None


@dataclass
class Ask:
    """One row of a batch."""

    model: str
    prompt_ids: list[int]
    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    stop_ids: list[int] = field(default_factory=list)
    beams: int = 1
    grammar: Grammar | None = None
    score: bool = False
    skip_special_tokens: bool = True
    pieces: queue.SimpleQueue[str | None] | None = None
    """Set for a streamed reply: its pieces of text, None at the end."""
    cancelled: bool = False
    answer: Future[Answer] = field(default_factory=Future)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Rows with the same key can share a batch; what differs per row otherwise is handled per row."""
        beam = (self.max_tokens,) if self.beams > 1 else ()
        return (self.model, self.score, self.beams, *beam, tuple(sorted(self.stop_ids)))


def read_ask(body: Mapping[str, Any], prompt_ids: list[int], *, limit: int, stream: bool) -> Ask:
    """Read the sampling part of a request's body.

    Raises:
        BadRequest: a value that the server cannot honour.
    """
    ask = Ask(
        model=str(body.get("model")),
        prompt_ids=prompt_ids,
        max_tokens=_integer(body, "max_tokens", 16, least=1),
        temperature=_number(body, "temperature", 1.0),
        top_p=_number(body, "top_p", 1.0),
        top_k=max(0, _integer(body, "top_k", 0, least=-1)),
        repetition_penalty=_number(body, "repetition_penalty", 1.0),
        seed=body.get("seed"),
        stop=[body["stop"]] if isinstance(body.get("stop"), str) else list(body.get("stop") or ()),
        stop_ids=list(body.get("stop_token_ids") or ()),
        beams=_integer(body, "n", 1, least=1) if body.get("use_beam_search") else 1,
        grammar=_grammar(body),
        score=body.get("prompt_logprobs") is not None,
        skip_special_tokens=bool(body.get("skip_special_tokens", True)),
        pieces=queue.SimpleQueue() if stream else None,
    )
    if not prompt_ids:
        raise BadRequest("the prompt has no tokens")
    if len(prompt_ids) + ask.max_tokens > limit:
        raise BadRequest(
            f"prompt of {len(prompt_ids)} tokens + max_tokens {ask.max_tokens} is more than max_model_len {limit}"
        )
    if ask.beams > 1 and (ask.grammar or ask.stop or stream):
        raise BadRequest("beam search takes no grammar, no stop strings and no streaming")
    return ask


def _grammar(body: Mapping[str, Any]) -> Grammar | None:
    constraint = body.get("structured_outputs") or _response_format(body.get("response_format"))
    if not constraint:
        return None
    ((kind, value),) = constraint.items()
    if kind == "json":
        return Grammar("json", value if isinstance(value, str) else json.dumps(value))
    if kind == "choice":
        return Grammar("choice", json.dumps(value))
    if kind == "regex":
        return Grammar("regex", value)
    if kind == "grammar":
        return Grammar("lark", value)
    raise BadRequest(f"structured_outputs.{kind} is not known; known are json, regex, choice and grammar")


def _response_format(value: Any) -> dict[str, Any] | None:
    if not value or value.get("type") == "text":
        return None
    if value.get("type") == "json_schema":
        return {"json": value["json_schema"]["schema"]}
    if value.get("type") == "json_object":
        return {"json": {"type": "object"}}
    raise BadRequest(f"response_format {value.get('type')!r} is not known")


def _integer(body: Mapping[str, Any], name: str, default: int, *, least: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadRequest(f"{name} is an integer of at least {least}, not {value!r}")
    return value


def _number(body: Mapping[str, Any], name: str, default: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise BadRequest(f"{name} is a number of at least 0, not {value!r}")
    return float(value)
