"""Content hashes: every cached thing is keyed by the content of all that it depends on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store.digests import DigestCache
from harness.store.home import Home


def digest(value: Any) -> str:
    """Return the sha256 (hex) of ``value`` as canonical JSON: keys sorted, no spaces, ASCII.

    Takes what :func:`harness.types.to_json` takes; a noun and its JSON have the same digest, and so
    have a tuple and a list. 1, 1.0 and True differ.

    Raises:
        TypeError: ``value`` holds something that has no JSON form.
    """
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def canonical_json(value: Any) -> str:
    """Return the text that :func:`digest` hashes."""
    return _ENCODER.encode(value)


def _as_json(value: Any) -> Any:
    # called by the encoder only for what it does not know: several times faster than to_json on all
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} cannot be part of a content key: {value!r:.200}")


_ENCODER = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=_as_json)


def file_digest(path: Path, home: Home | None = None) -> str:
    """Return the sha256 (hex) of a file's content.

    With a ``home`` the digest of a file that did not change is remembered there, by path, size,
    times and inode.

    Raises:
        StoreError: the file cannot be read.
    """
    with DigestCache(home) as cache:
        return cache.digest(path)


def folder_digest(path: Path, patterns: Sequence[str] = ("**/*",), home: Home | None = None) -> str:
    """Return one digest of the names and contents of all files in ``path`` that match a glob of ``patterns``.

    Raises:
        StoreError: no file matches, or one cannot be read.
    """
    files = matching_files(path, patterns)
    if not files:
        raise StoreError(f"nothing to hash: no file in {path} matches {', '.join(patterns)}")
    with DigestCache(home) as cache:
        return digest([[file.relative_to(path).as_posix(), cache.digest(file)] for file in files])


def matching_files(path: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the files below ``path`` that match, each once, in the order of their names."""
    found = {file for pattern in patterns for file in path.glob(pattern) if file.is_file()}
    return sorted(found, key=lambda file: os.fsencode(file.relative_to(path).as_posix()))
