"""Where everything that the harness keeps lies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from harness.store.disk import saving

CacheKind = Literal["models", "merged", "adapters", "prepared"]
CACHE_KINDS: tuple[CacheKind, ...] = ("models", "merged", "adapters", "prepared")

HOME_VARIABLE = "HARNESS_HOME"
DEFAULT_FOLDER = ".harness"


@dataclass(frozen=True)
class Home:
    """The folder with caches, locks and the run store. Making one touches no file."""

    root: Path

    def __post_init__(self) -> None:
        """Make the root absolute, so that a later change of directory does not move it."""
        object.__setattr__(self, "root", self.root.absolute())

    @classmethod
    def find(cls, explicit: Path | None = None) -> Self:
        """Return the home: ``explicit``, else ``$HARNESS_HOME``, else ``.harness`` in the current directory."""
        if explicit is not None:
            return cls(explicit.expanduser())
        named = os.environ.get(HOME_VARIABLE)
        return cls(Path(named).expanduser() if named else Path.cwd() / DEFAULT_FOLDER)

    def create(self) -> None:
        """Make the folder, which git and backup programs are told to leave alone.

        Raises:
            StoreError: it cannot be made.
        """
        if (self.root / "CACHEDIR.TAG").exists():
            return
        with saving("the harness home", self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            (self.root / ".gitignore").write_text("*\n", encoding="utf-8")
            (self.root / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n", encoding="ascii")

    def cache(self, kind: CacheKind) -> Path:
        """The folder of all entries of one kind."""
        return self.root / kind

    @property
    def models(self) -> Path:
        """Base models that were converted."""
        return self.cache("models")

    @property
    def merged(self) -> Path:
        """Adapters merged into their base."""
        return self.cache("merged")

    @property
    def adapters(self) -> Path:
        """Trained adapters."""
        return self.cache("adapters")

    @property
    def prepared(self) -> Path:
        """Rendered and tokenised data sets."""
        return self.cache("prepared")

    @property
    def locks(self) -> Path:
        """Lock files, and marks of who uses which entry."""
        return self.root / "locks"

    @property
    def runs_db(self) -> Path:
        """The run store."""
        return self.root / "runs.sqlite"

    @property
    def digests_db(self) -> Path:
        """Digests of files that were hashed before."""
        return self.root / "digests.sqlite"

    @property
    def sessions(self) -> Path:
        """Working folders of running sessions: logs, sockets."""
        return self.root / "sessions"
