"""Base models, adapters, and the words for how an adapter is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

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
