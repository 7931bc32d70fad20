"""The nouns of the harness: frozen values that every room hands to the next.

Nothing of ours is imported here, and nothing heavy. Every value can be written as JSON with
:func:`to_json` and read back with ``from_json`` of its class.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

Outcome = Literal["pass", "fail", "unscored", "error"]
"""``unscored`` and ``error`` are not ``fail``: a dead server is not a wrong model."""

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error", "unknown"]
GrammarKind = Literal["json", "regex", "choice", "lark"]
DecodeMode = Literal["greedy", "grammar"]
AdapterKind = Literal["lora", "qlora"]
Optimizer = Literal[
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_bnb_8bit",
    "adamw_8bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "adafactor",
    "sgd",
]
Schedule = Literal[
    "cosine", "cosine_with_min_lr", "linear", "polynomial", "inverse_sqrt", "constant", "constant_with_warmup"
]
"""The course of the learning rate; names are axolotl's and transformers'."""

SHOWN = 80
"""Characters of a reply that its repr shows: pytest cuts the middle out of a long one."""


def to_json(value: Any) -> Any:
    """Return ``value`` (a noun, or a container of nouns) as plain JSON data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value


@dataclass(frozen=True)
class ToolCall:
    """One function call of an assistant turn; ``arguments`` is the decoded object."""

    name: str
    arguments: Mapping[str, Any]
    id: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(name=data["name"], arguments=data["arguments"], id=data.get("id"))


@dataclass(frozen=True)
class Message:
    """One turn. ``role`` is system, user, assistant or tool (or a role of one's own)."""

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    name: str | None = None
    tool_call_id: str | None = None
    train: bool | None = None
    """A row's own word on whether this turn is trained; None: the config's roles decide."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(
            role=data["role"],
            content=data["content"],
            tool_calls=tuple(ToolCall.from_json(c) for c in data.get("tool_calls") or ()),
            name=data.get("name"),
            tool_call_id=data.get("tool_call_id"),
            train=data.get("train"),
        )


@dataclass(frozen=True)
class Source:
    """Where a row stands: file and 1-based line (or record number, for files without lines)."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return ``file:line``, the form editors open."""
        return f"{self.file}:{self.line}"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(file=data["file"], line=data["line"])


@dataclass(frozen=True)
class Sample:
    """A training row in the one form that all formats are read into."""

    id: str
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    cluster: str | None = None
    lineage: Mapping[str, Any] = field(default_factory=dict)
    source: Source | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(
            id=data["id"],
            messages=tuple(Message.from_json(m) for m in data["messages"]),
            tools=tuple(data.get("tools") or ()),
            tags=data.get("tags") or {},
            meta=data.get("meta") or {},
            cluster=data.get("cluster"),
            lineage=data.get("lineage") or {},
            source=Source.from_json(data["source"]) if data.get("source") else None,
        )


@dataclass(frozen=True)
class Encoded:
    """What the model sees of one sample.

    ``input_ids`` and ``labels`` have the same length T; a label of -100 is not trained, any other
    equals the id at its own position (the shift by one happens in the loss). At least one label
    is trained.
    """

    sample_id: str
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    group: str | None = None
    """Rows of one group (the sample's cluster) stay on one side of a validation split."""

    def __post_init__(self) -> None:
        """Check the invariants that the training loop relies on."""
        if len(self.input_ids) != len(self.labels):
            raise ValueError(f"sample {self.sample_id}: ids and labels differ in length")
        if all(label == -100 for label in self.labels[1:]):
            raise ValueError(f"sample {self.sample_id}: no token is trained")


@dataclass(frozen=True)
class Base:
    """A base model that lies on disk as an ordinary safetensors folder."""

    path: Path
    ref: str
    """The name the user gave: a folder, a hub id, ``package://…``."""
    content_hash: str
    """Digest of the weights and the model config (of the source file for a converted GGUF)."""
    tokenizer_hash: str
    """Digest of the tokenizer files and the chat template file."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(Path(data["path"]), data["ref"], data["content_hash"], data["tokenizer_hash"])


@dataclass(frozen=True)
class Adapter:
    """A trained adapter folder (peft's layout, safetensors)."""

    path: Path
    base_ref: str
    base_hash: str
    kind: AdapterKind
    content_hash: str
    config_hash: str
    data_hash: str
    template: str | None = None
    """The chat template's text it was trained with; None for an adapter made elsewhere."""
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    """The special tokens that the config put in the place of the tokenizer's own."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(**{**data, "path": Path(data["path"])})


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


@dataclass(frozen=True)
class Verdict:
    """What one test said about one case in one run."""

    run: str
    nodeid: str
    test: str
    case_id: str
    suite: str
    outcome: Outcome
    generation_key: str | None = None
    marks: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    cluster: str | None = None
    repeat: int = 0
    score: float | None = None
    reason: str = ""
    seconds: float = 0.0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(**{**data, "marks": tuple(data.get("marks") or ())})


@dataclass(frozen=True)
class Failure:
    """Everything needed to replay one failing test without the run it came from."""

    verdict: Verdict
    case: Case
    generation: Generation | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        generation = data.get("generation")
        return cls(
            verdict=Verdict.from_json(data["verdict"]),
            case=Case.from_json(data["case"]),
            generation=Generation.from_json(generation) if generation else None,
        )
