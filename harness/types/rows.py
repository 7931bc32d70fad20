"""Conversations and the rows that a model is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


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
