"""One data set, as this room sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.config import DatasetConfig

ROLE_ALIASES: dict[str, tuple[str, ...]] = {
    "system": ("system", "developer"),
    "user": ("user", "human", "prompter"),
    "assistant": ("assistant", "gpt", "model", "bot", "chatgpt", "ai", "bing", "bard"),
    "tool": ("tool", "function", "observation", "function_response", "tool_response", "ipython"),
    "function_call": ("function_call", "tool_call"),
}
"""Our role names and the names that files have for them; a ``function_call`` turn is read as the assistant's."""


_NAMES = {alias: role for role, aliases in ROLE_ALIASES.items() for alias in aliases}


def our_role(name: str) -> str:
    """Return our name for a role that a config or a file calls ``name`` (itself, for a role of one's own)."""
    return _NAMES.get(name, name)


@dataclass(frozen=True)
class Fields:
    """Under which names a data set keeps what; None: the format's own name for it."""

    messages: str | None = None
    role: str | None = None
    content: str | None = None
    tools: str = "tools"
    system: str | None = None
    instruction: str | None = None
    input: str | None = None
    output: str | None = None
    text: str | None = None
    train: str | None = None
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Our role → the file's names for it, on top of :data:`ROLE_ALIASES`."""

    def role_names(self) -> dict[str, str]:
        """Return the file's role names, each with ours; a config's own word wins."""
        return {**_NAMES, **{alias: our_role(role) for role, aliases in self.roles.items() for alias in aliases}}


@dataclass(frozen=True)
class DataSet:
    """Where rows come from and how they are read."""

    path: str
    type: str | None = None
    """A format's name or ``module:function``; None: known by the first row's fields."""
    split: str = "train"
    name: str | None = None
    kind: str | None = None
    data_files: tuple[str, ...] = ()
    revision: str | None = None
    fields: Fields = field(default_factory=Fields)
    roles_to_train: tuple[str, ...] | None = None
    drop_system: bool = False

    @classmethod
    def of(cls, config: DatasetConfig) -> DataSet:
        """Return the data set that an entry of the config's ``datasets`` describes."""
        mapped = config.message_property_mappings or {}
        files = config.data_files or ()
        return cls(
            path=config.path,
            type=config.type,
            split=config.split or "train",
            name=config.name,
            kind=config.ds_type,
            data_files=(files,) if isinstance(files, str) else tuple(files),
            revision=config.revision,
            fields=Fields(
                messages=config.field_messages,
                role=config.message_field_role or mapped.get("role"),
                content=config.message_field_content or mapped.get("content"),
                tools=config.field_tools or "tools",
                text=config.field,
                train=config.message_field_training,
                roles={role: tuple(names) for role, names in (config.roles or {}).items()},
            ),
            roles_to_train=tuple(config.roles_to_train) if config.roles_to_train else None,
            drop_system=config.drop_system_message,
        )
