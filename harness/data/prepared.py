"""Encoded rows on disk, under a key of all they depend on; a damaged file is found out and written anew.

A file is one line of magic, one line with the sha256 of the rest, a JSON header (counts, and name, group and
length of each row) and the rows: ids as 32-bit numbers, then one byte a token that says whether it is trained.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
import tempfile
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.data.encode import EncodedSet
from harness.data.masks import IGNORED
from harness.data.render import Renderer
from harness.errors import StoreError
from harness.store import digest, file_digest
from harness.types import Encoded

_MAGIC = b"harness rows 1\n"
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "config.json",
)
_LENGTH = struct.Struct("<Q")


def prepared_key(data: str, renderer: Renderer) -> str:
    """Return the key of rows: the data's digest and the tokenizer's files."""
    folder = renderer.tokenizer.folder
    files = {name: file_digest(folder / name) for name in _TOKENIZER_FILES if (folder / name).is_file()}
    return digest([data, files])


def prepared_file(folder: Path, key: str) -> Path:
    """Return where the rows of ``key`` lie in ``folder``."""
    return folder / f"{key[:32]}.rows"


def write_prepared(folder: Path, key: str, rows: EncodedSet) -> Path:
    """Write ``rows`` whole or not at all, and return the file.

    Raises:
        StoreError: it cannot be written (no space, no permission).
    """
    target = prepared_file(folder, key)
    body = _body(key, rows)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".writing-")
    except OSError as error:
        raise StoreError(f"prepared rows cannot be written to {folder}: {error.strerror or error}") from error
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n")
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        written.replace(target)
    except OSError as error:
        raise StoreError(f"prepared rows cannot be written to {target}: {error.strerror or error}") from error
    finally:
        written.unlink(missing_ok=True)
    return target


def read_prepared(folder: Path, key: str) -> tuple[EncodedSet | None, str | None]:
    """Return the rows of ``key``, if they are there whole, and a note if they are there but damaged."""
    file = prepared_file(folder, key)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return None, f"{file} cannot be read ({error.strerror or error}); the rows were prepared again"
    start = len(_MAGIC) + 65
    body = memoryview(content)[start:]
    whole = content[:start] == _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n"
    if not whole:
        return None, f"{file} is damaged; the rows were prepared again"
    return _read_body(body, key, file)


def _body(key: str, rows: EncodedSet) -> bytes:
    everything = [*rows.train, *rows.val]
    header = {
        "key": key,
        "digest": rows.digest,
        "counts": dict(rows.counts),
        "train": len(rows.train),
        "rows": [[row.sample_id, row.group, len(row.input_ids)] for row in everything],
    }
    text = json.dumps(header).encode()
    ids = array("i", (token for row in everything for token in row.input_ids))
    mask = bytes(label != IGNORED for row in everything for label in row.labels)
    return _LENGTH.pack(len(text)) + text + _little_endian(ids).tobytes() + mask


def _read_body(body: memoryview, key: str, file: Path) -> tuple[EncodedSet | None, str | None]:
    size = _LENGTH.unpack_from(body)[0]
    header = json.loads(bytes(body[_LENGTH.size : _LENGTH.size + size]))
    if header["key"] != key:
        return None, f"{file} holds other rows than its name says; the rows were prepared again"
    tokens = sum(length for _, _, length in header["rows"])
    start = _LENGTH.size + size
    ids = array("i")
    ids.frombytes(body[start : start + 4 * tokens])
    rows = tuple(_rows(header["rows"], _little_endian(ids), bytes(body[start + 4 * tokens :])))
    train, val = rows[: header["train"]], rows[header["train"] :]
    return EncodedSet(train, val, header["counts"], header["digest"], (f"prepared rows reused from {file}",)), None


def _rows(entries: Iterable[list[Any]], ids: array[int], mask: bytes) -> Iterable[Encoded]:
    at = 0
    for name, group, length in entries:
        tokens = tuple(ids[at : at + length])
        labels = tuple(t if on else IGNORED for t, on in zip(tokens, mask[at : at + length], strict=True))
        at += length
        yield Encoded(name, tokens, labels, group)


def _little_endian(ids: array[int]) -> array[int]:
    if sys.byteorder == "big":
        ids = array("i", ids)
        ids.byteswap()
    return ids
