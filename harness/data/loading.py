"""From data sets to raw rows: files, folders, globs, packages, the hub; the split taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from harness.data.dataset import DataSet
from harness.data.files import find_files, local_path
from harness.data.problems import RowError
from harness.data.rows import Item, Row, read_rows
from harness.data.slices import SplitPart, parse_split, rows_needed, take
from harness.errors import ConfigError
from harness.types import Source

_LOADER_NAMES = {"json", "csv", "parquet", "arrow", "text"}


def load_rows(dataset: DataSet) -> list[Item]:
    """Return the raw rows of the data set's split, in order, with a problem in the place of each unreadable one.

    Raises:
        RowError: there are no such files, or no such split, or the split selects nothing.
    """
    try:
        parts = parse_split(dataset.split)
    except ValueError as error:
        raise RowError([str(error)]) from error
    rows: list[Item] = []
    for group in _by_split(parts):
        needed = rows_needed(group)
        found = list(islice(_split_rows(dataset, group[0].name), needed))
        rows += take(group, found)
    if not rows:
        raise RowError([f"{dataset.path}: the split {dataset.split!r} holds no rows (is the file empty?)"])
    return rows


def _by_split(parts: tuple[SplitPart, ...]) -> list[list[SplitPart]]:
    groups: list[list[SplitPart]] = []
    for part in parts:
        if groups and groups[-1][0].name == part.name:
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _split_rows(dataset: DataSet, split: str) -> Iterator[Item]:
    if dataset.path in _LOADER_NAMES and dataset.data_files and not Path(dataset.path).exists():
        for name in dataset.data_files:
            yield from _file_rows(name, split, dataset.path, ())
        return
    yield from _file_rows(dataset.path, split, dataset.kind, dataset.data_files, dataset)


def _file_rows(
    path: str, split: str, kind: str | None, only: tuple[str, ...], dataset: DataSet | None = None
) -> Iterator[Item]:
    try:
        here = local_path(path)
    except ConfigError as error:
        raise RowError([str(error)]) from error
    if here is not None:
        for file in find_files(here, split, kind=kind, only=only):
            yield from read_rows(file.path, file.kind)
    elif dataset is not None:
        yield from hub_rows(dataset, split)
    else:
        raise RowError([f"{path!r} does not exist"])


def hub_rows(dataset: DataSet, split: str) -> Iterator[Row]:
    """Yield the rows of a data set on the hub, read through the ``datasets`` library.

    Raises:
        RowError: the library is not installed, the hub cannot be reached, or it has no such data set.
    """
    try:
        import datasets
    except ImportError as error:
        raise RowError(
            [
                f"{dataset.path!r} is no file here, so it is looked up on the hub, which needs the 'datasets' library:"
                " pip install 'ft-harness[cpu]', or give a file"
            ]
        ) from error
    try:
        loaded = datasets.load_dataset(
            dataset.path,
            dataset.name,
            split=split,
            data_files=list(dataset.data_files) or None,
            revision=dataset.revision,
        )
    except Exception as error:
        raise RowError(
            [
                f"{dataset.path!r} is no file here, and could not be loaded from the hub:"
                f" {type(error).__name__}: {_first_line(error)};"
                " give the path of a file, or check the name and the network"
            ]
        ) from error
    yield from _numbered(loaded, dataset.path)


def _numbered(records: Any, name: str) -> Iterator[Row]:
    for number, record in enumerate(records, start=1):
        if isinstance(record, Mapping):
            yield Row(record, Source(name, number))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
