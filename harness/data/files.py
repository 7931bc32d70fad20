"""From the path of a data set to the files that hold its rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from harness.data.problems import RowError, nearest
from harness.data.rows import FileKind

KINDS: dict[str, FileKind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".txt": "text",
}
_SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_NOT_DATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")


@dataclass(frozen=True)
class DataFile:
    """One file of rows."""

    path: Path
    kind: FileKind


def local_path(path: str) -> Path | None:
    """Return where ``path`` lies on this machine (``package://`` resolved); None for a hub id.

    Raises:
        RowError: it names a file or folder that does not exist.
    """
    if path.startswith("package://"):
        from harness.config import package_file

        return package_file(path)
    here = Path(path).expanduser()
    if here.exists() or _is_glob(path):
        return here
    if _HUB_ID.match(path) and _kind_of(here) is None:
        return None
    raise RowError([f"{path!r} does not exist{_near_file(here)}"])


def find_files(path: Path, split: str, *, kind: str | None = None, only: Sequence[str] = ()) -> tuple[DataFile, ...]:
    """Return the files under ``path`` (a file, folder or glob) that make up ``split``.

    Args:
        path: a file, a folder (searched to its depths) or a glob.
        split: of a folder, the files named after it; a folder whose file names speak of no split is ``train``.
        kind: the format to read every file as (``ds_type``), where the suffix does not say it.
        only: file names or globs inside the folder (``data_files``).

    Raises:
        RowError: nothing is there, or nothing whose format is known.
    """
    forced = _forced_kind(kind)
    if path.is_file():
        if split != "train":
            raise RowError([f"{path} is one file, it has only the split 'train', not {split!r}"])
        return (_as_file(path, forced),)
    if path.is_dir():
        names = _inside(path, only) if only else _all_data(path)
        where = f"folder {path}"
    else:
        names = sorted(name for name in _matches(path) if name.is_file())
        where = f"glob {str(path)!r}"
        if not names:
            raise RowError([f"no file matches the {where}"])
        return tuple(_as_file(name, forced) for name in names)
    if not names:
        raise RowError([f"the {where} holds no data file ({', '.join(KINDS)}, also with .gz)"])
    return tuple(_as_file(name, forced) for name in _of_split(names, split, path))


def _as_file(path: Path, forced: FileKind | None) -> DataFile:
    named = _kind_of(path)
    kind = named if forced == "json" and named == "jsonl" else forced or named
    if kind is None:
        suffix = path.suffix or path.name
        raise RowError(
            [
                f"{path}: files of kind {suffix!r} are not known{nearest(suffix, KINDS)}; known are"
                f" {', '.join(KINDS)}, also with .gz; or say ds_type: {', '.join(get_args(FileKind))}"
            ]
        )
    return DataFile(path, kind)


def _kind_of(path: Path) -> FileKind | None:
    suffixes = path.suffixes[:-1] if path.suffix == ".gz" else path.suffixes
    return KINDS.get(suffixes[-1].lower()) if suffixes else None


def _forced_kind(kind: str | None) -> FileKind | None:
    if kind is None:
        return None
    known = get_args(FileKind)
    if kind not in known:
        raise RowError([f"ds_type {kind!r} is not known{nearest(kind, known)}; known are {', '.join(known)}"])
    return cast(FileKind, kind)


def _all_data(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file() and _kind_of(path) and path.name not in _NOT_DATA)
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _inside(folder: Path, names: Iterable[str]) -> list[Path]:
    chosen: list[Path] = []
    for name in names:
        found = sorted(path for path in folder.glob(name) if path.is_file())
        if not found:
            raise RowError([f"data_files: nothing in {folder} matches {name!r}"])
        chosen += found
    return chosen


def _of_split(files: list[Path], split: str, folder: Path) -> list[Path]:
    """Choose a folder's files of ``split`` by the words in their names (below ``folder``)."""
    named = {file: _split_named(file.relative_to(folder)) for file in files}
    chosen = [file for file, name in named.items() if name == split]
    if not chosen and split == "train":
        chosen = [file for file, name in named.items() if name is None]
    if not chosen:
        there = sorted({name or "train" for name in named.values()})
        raise RowError([f"folder {folder} has no split {split!r}; it has {', '.join(there)}"])
    return chosen


def _split_named(path: Path) -> str | None:
    words = re.split(r"[^a-z]+", str(path).lower())
    return next((split for split, names in _SPLIT_WORDS.items() if any(name in words for name in names)), None)


def _matches(pattern: Path) -> Iterable[Path]:
    """Return what a glob matches; the part before its first wildcard is where it starts."""
    parts = pattern.parts
    fixed = next(number for number, part in enumerate(parts) if _is_glob(part))
    return Path(*parts[:fixed]).glob(str(Path(*parts[fixed:])))


def _is_glob(path: str) -> bool:
    return any(char in path for char in "*?[")


def _near_file(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"; nor does its folder {folder}"
    return nearest(path.name, sorted(entry.name for entry in folder.iterdir()))
