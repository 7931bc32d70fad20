"""What the header of a safetensors file says, read without loading a tensor (or torch)."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""


@dataclass(frozen=True)
class TensorInfo:
    """Type and shape of one tensor in a file."""

    dtype: str
    shape: tuple[int, ...]


def read_header(path: Path) -> Mapping[str, TensorInfo]:
    """Return the tensors of a safetensors file by name.

    Raises:
        ValueError: it is no safetensors file, or it is shorter than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, max(size - 8, 0)):
            raise ValueError("not a safetensors file, or cut off inside its header")
        try:
            entries = json.loads(file.read(length))
            tensors = {
                name: (TensorInfo(entry["dtype"], tuple(entry["shape"])), entry["data_offsets"][1])
                for name, entry in entries.items()
                if name != "__metadata__"
            }
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"not a safetensors file: its header cannot be read ({error})") from None
    end = max((end for _, end in tensors.values()), default=0)
    if size != 8 + length + end:
        raise ValueError(f"the file has {size} bytes, its header promises {8 + length + end}: it is cut off or damaged")
    return {name: info for name, (info, _) in tensors.items()}


def read_folder(folder: Path) -> Mapping[str, TensorInfo]:
    """Return the tensors of all ``*.safetensors`` files of a model folder by name.

    Raises:
        ValueError: as :func:`read_header`, with the file's name.
    """
    tensors: dict[str, TensorInfo] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            tensors.update(read_header(path))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
    return tensors
