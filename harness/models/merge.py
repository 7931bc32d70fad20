"""An adapter merged into its base: one ordinary model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.models.base import TOKENIZER_FILES, child_work
from harness.protocols import OnEvent
from harness.store import FolderCache, Home, digest, matching_files
from harness.types import Adapter, Base

MERGER_VERSION = 1
"""Raised when the merge changes what it writes, so that old merges are not found."""


def merge_adapter(base: Base, adapter: Adapter, home: Home, *, dtype: str, on_event: OnEvent) -> Path:
    """Return a folder with base and adapter merged; made once per content.

    The sum is formed in float32 and then rounded to ``dtype`` (``bfloat16``, ``float16`` or
    ``float32``). Beside the weights lies ``canary.json`` with token ids and the logprobs that base and
    merged model give them (see :mod:`harness.models.merge_child`).

    Raises:
        ModelError: the two cannot be merged.
        StoreError: there is no space.
    """
    key = digest([MERGER_VERSION, base.content_hash, base.tokenizer_hash, adapter.content_hash, dtype])

    def build(folder: Path) -> None:
        on_event({"event": "merge", "base": base.ref, "adapter": adapter.content_hash})
        request = {"base": str(base.path), "adapter": str(adapter.path), "target": str(folder), "dtype": dtype}
        child_work("harness.models.merge_child", request, "merging the adapter into its base", on_event)
        for file in matching_files(base.path, (*TOKENIZER_FILES, "generation_config.json")):
            target = folder / file.relative_to(base.path)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target)

    size = sum(file.stat().st_size for file in base.path.glob("*.safetensors"))
    info = {"base": base.content_hash, "base_ref": base.ref, "adapter": adapter.content_hash, "dtype": dtype}
    cache = FolderCache(home, "merged", on_warning=lambda text: on_event({"event": "warning", "message": text}))
    describe = f"{adapter.content_hash[:12]} merged into {base.ref}"
    return cache.get_or_build(key, describe, build, info=info, needed=size * (2 if dtype == "float32" else 1))
