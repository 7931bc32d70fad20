"""What a model is asked, and what it replies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from harness.types.rows import Message, ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error", "unknown"]
GrammarKind = Literal["json", "regex", "choice", "lark"]
DecodeMode = Literal["greedy", "grammar"]

SHOWN = 80
"""Characters of a reply that its repr shows: pytest cuts the middle out of a long one."""


@dataclass(frozen=True)
class Grammar:
    """A constraint on the reply: a JSON schema (as JSON text), regex, choices (JSON list) or Lark."""

    kind: GrammarKind
    text: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(kind=data["kind"], text=data["text"])


@dataclass(frozen=True)
class Case:
    """One eval item: what the model is asked, and what is known of a good reply."""

    id: str
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    expected: Any = None
    tags: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    suite: str = ""
    cluster: str | None = None
    """The parent this case was derived from: cases of one cluster are not independent."""
    grammar: Grammar | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(
            id=data["id"],
            messages=tuple(Message.from_json(m) for m in data["messages"]),
            tools=tuple(data.get("tools") or ()),
            expected=data.get("expected"),
            tags=data.get("tags") or {},
            meta=data.get("meta") or {},
            suite=data.get("suite") or "",
            cluster=data.get("cluster"),
            grammar=Grammar.from_json(data["grammar"]) if data.get("grammar") else None,
        )


@dataclass(frozen=True)
class Decoding:
    """How replies are sampled. The default is greedy."""

    mode: DecodeMode = "greedy"
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    """0: no limit."""
    repetition_penalty: float = 1.0
    beams: int = 1
    """More than 1: beam search."""
    seed: int = 0
    stop: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(**{**data, "stop": tuple(data.get("stop") or ())})


@dataclass(frozen=True)
class Request:
    """One reply that is wanted from an engine."""

    key: str
    """The content key under which the reply is stored."""
    case_id: str
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...]
    decoding: Decoding
    grammar: Grammar | None = None
    """Set only where the decoding mode is ``grammar``."""
    prompt_ids: tuple[int, ...] = ()
    """Rendered by our renderer; empty only for an endpoint, which applies its own template."""
    stop_ids: tuple[int, ...] = ()
    repeat: int = 0


@dataclass(frozen=True)
class Reply:
    """What an engine gave back for one request."""

    text: str
    token_ids: tuple[int, ...] = ()
    prompt_token_ids: tuple[int, ...] = ()
    finish_reason: FinishReason = "unknown"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    tool_calls: tuple[ToolCall, ...] = ()
    error: str | None = None
    """Set when the engine refused or failed this one request; the text is then empty."""


def _start(text: str) -> str:
    """Return the start of ``text`` quoted, and that there is more."""
    return repr(text[:SHOWN]) + ("…" if len(text) > SHOWN else "")


def _parsed(reply: str) -> Any:
    __tracebackhide__ = True
    try:
        return json.loads(reply)
    except ValueError as error:
        problem = f"the reply is not JSON: {error}"
    except RecursionError:
        problem = "the reply is not JSON that can be read: it is nested too deeply"
    raise AssertionError(f"{problem}\n{reply[:500]}")


@dataclass(frozen=True, repr=False)
class Generation:
    """One stored reply of one served model to one case."""

    key: str
    case_id: str
    model_hash: str
    text: str
    token_ids: tuple[int, ...]
    prompt_token_ids: tuple[int, ...]
    finish_reason: FinishReason
    decoding: Decoding
    repeat: int = 0
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tool_calls: tuple[ToolCall, ...] = ()
    error: str | None = None

    def __repr__(self) -> str:
        """Return what a person needs of a failing check: whose reply, how it begins, why it ended."""
        label = self.case_id if self.repeat == 0 else f"{self.case_id}@{self.repeat + 1}"
        if self.error:
            return f"Generation({label!r}, error={_start(self.error)})"
        return f"Generation({label!r}, {_start(self.text)}, {self.finish_reason!r})"

    @property
    def json(self) -> Any:
        """The reply parsed as JSON, once.

        Raises:
            AssertionError: the reply is not JSON; the message shows where it stops being so.
        """
        __tracebackhide__ = True  # pytest then points at the line of the test that reads this
        if "_json" not in self.__dict__:  # functools.cached_property would leave a frame of its own in the traceback
            self.__dict__["_json"] = _parsed(self.text)
        return self.__dict__["_json"]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        values = dict(data)
        values["token_ids"] = tuple(values["token_ids"])
        values["prompt_token_ids"] = tuple(values["prompt_token_ids"])
        values["decoding"] = Decoding.from_json(values["decoding"])
        values["tool_calls"] = tuple(ToolCall.from_json(c) for c in values.get("tool_calls") or ())
        return cls(**values)
