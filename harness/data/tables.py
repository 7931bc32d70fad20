"""Rows of tables: CSV, Parquet, Arrow."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from harness.data.lines import read_lines
from harness.data.problems import shorten
from harness.errors import Problem
from harness.types import Source

if TYPE_CHECKING:
    from harness.data.rows import Item

_BATCH = 1000


def csv_rows(stream: BinaryIO, file: str, delimiter: str) -> Iterator[Item]:
    """Yield the records of a CSV file with a header; a quoted cell may hold line ends."""
    from harness.data.rows import Row

    unreadable: list[Problem] = []
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(_csv_lines(stream, file, unreadable), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield Problem(f"malformed CSV: {error}", file, line)
            continue
        if not cells:
            continue
        if header is None:
            header = cells
            yield from _header_problems(header, file, line)
        elif len(cells) == len(header):
            yield Row(dict(zip(header, cells, strict=True)), Source(file, line))
        else:
            yield Problem(f"{len(cells)} cells where the header has {len(header)}: {shorten(cells)}", file, line)
    yield from unreadable


def _csv_lines(stream: BinaryIO, file: str, unreadable: list[Problem]) -> Iterator[str]:
    """Yield one text line for each line of the file, so that the reader's line count stays the file's."""
    for line in read_lines(stream, file, blank=True):
        if isinstance(line, Problem):
            unreadable.append(line)
            yield "\n"
        else:
            yield line.text + "\n"


def _header_problems(header: list[str], file: str, line: int) -> Iterator[Problem]:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        yield Problem(f"the header names {', '.join(map(repr, twice))} more than once", file, line)


def parquet_rows(path: Path) -> Iterator[Item]:
    """Yield the records of a Parquet file; a record's number counts from 1."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            yield from _batches(table.iter_batches(batch_size=_BATCH), str(path))
    except (pyarrow.ArrowException, OSError) as error:
        yield Problem(f"the Parquet file cannot be read: {error}", str(path))


def arrow_rows(path: Path) -> Iterator[Item]:
    """Yield the records of an Arrow stream file, as ``datasets`` saves them."""
    import pyarrow

    try:
        with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as stream:
            yield from _batches(iter(stream), str(path))
    except (pyarrow.ArrowException, OSError) as error:
        yield Problem(f"the Arrow file cannot be read: {error}", str(path))


def _batches(batches: Iterator[Any], file: str) -> Iterator[Item]:
    from harness.data.rows import Row

    number = 0
    for batch in batches:
        for record in batch.to_pylist():
            number += 1
            yield Row(record, Source(file, number))
