"""What the server is told when it is started."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Self

KEY_VARIABLE = "HARNESS_SERVE_KEY"
"""Not on the command line, which every user of the machine can read."""


@dataclass(frozen=True)
class ServerJob:
    """Everything the child needs; written as JSON on its command line."""

    model: str
    """Folder of the base, or of the merged model."""
    adapter: str | None
    """Folder of an adapter that is applied unmerged."""
    model_name: str
    base_name: str | None
    """Set where the base is served beside the adapter."""
    device: str
    dtype: str
    max_model_len: int
    batch_size: int
    socket: str | None = None
    port: int | None = None
    """TCP on the loopback, with the key in :data:`KEY_VARIABLE`."""
    template: str | None = None
    """Jinja text of the chat template: makes ``/v1/chat/completions`` available."""

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def load(cls, text: str) -> Self:
        """Read what :meth:`dump` wrote."""
        return cls(**json.loads(text))
