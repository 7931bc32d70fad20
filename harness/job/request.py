"""What a run was asked to test, before anything is resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import ConfigError
from harness.types import Adapter, Base, DecodeMode, Decoding, Grammar

if TYPE_CHECKING:
    from harness.config import RunConfig, ServeConfig
    from harness.store import Home

SubjectKind = Literal["trained", "adapter", "base", "endpoint", "generations"]


@dataclass(frozen=True)
class RunRequest:
    """One pytest session over one model and one decoding, as the command line asked for it."""

    home: Home
    reports: Path
    config: RunConfig | None = None
    adapter: Path | None = None
    base_only: bool = False
    base_model: str | None = None
    endpoint: str | None = None
    model: str | None = None
    generations: Path | None = None
    engine: str | None = None
    """Overrides ``serve.engine`` of the config."""
    mode: DecodeMode = "greedy"
    cache_endpoint: bool = False
    argv: tuple[str, ...] = ()

    @property
    def kind(self) -> SubjectKind:
        """Which kind of model is under test.

        Raises:
            ConfigError: nothing says which model to test.
        """
        if self.generations:
            return "generations"
        if self.endpoint:
            return "endpoint"
        if self.base_only:
            return "base"
        if self.adapter:
            return "adapter"
        if self.config:
            return "trained"
        raise ConfigError(
            "nothing says which model to test",
            hint="give one of --train-config FILE, --adapter PATH, --base-only, --endpoint URL, --generations FILE",
        )

    def serve(self) -> ServeConfig:
        """Return the ``serve`` section that holds, the command line's engine laid over it."""
        from harness.config import ServeConfig

        section = self.config.serve if self.config else ServeConfig()
        if self.engine is None:
            return section
        return ServeConfig.model_validate({**section.model_dump(), "engine": self.engine})

    def decoding(self) -> Decoding:
        """Return how replies are sampled."""
        from harness.config import DecodeConfig

        section = self.config.decode if self.config else DecodeConfig()
        return section.decoding(self.mode)

    def grammar(self) -> Grammar | None:
        """Return the config's grammar, which holds where neither case nor suite declares one."""
        if self.mode != "grammar" or self.config is None or self.config.decode.grammar is None:
            return None
        return self.config.decode.grammar.grammar()


@dataclass(frozen=True)
class Target:
    """The model under test, resolved: what is served and by which content it is known."""

    kind: SubjectKind
    label: str
    """A short name for people, such as ``adapter 3f2a91c0 on SmolLM2-135M``."""
    model_hash: str
    base: Base | None = None
    adapter: Adapter | None = None
    template: str | None = None
    """Name or text of the chat template; None: the base folder's own."""
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    """The figures of the training that made the adapter (empty for one made elsewhere)."""
    trained_now: bool = False
