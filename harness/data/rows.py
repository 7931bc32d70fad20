"""Raw rows of data files: JSON Lines, JSON, CSV, Parquet and Arrow, each row with its place."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from harness.data.lines import MAX_LINE_BYTES, Line, decode_line, read_lines, wide_encoding
from harness.data.problems import shorten
from harness.errors import Problem
from harness.types import Source

FileKind = Literal["jsonl", "json", "csv", "tsv", "parquet", "arrow", "text"]
MAX_JSON_BYTES = 2**30
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One raw row and where it stands."""

    record: Mapping[str, Any]
    source: Source


Item = Row | Problem


def read_rows(path: Path, kind: FileKind) -> Iterator[Item]:
    """Yield the rows of one file in order, and a problem in the place of each that cannot be read."""
    if kind in ("parquet", "arrow"):
        yield from _columnar_rows(path, kind)
        return
    file = str(path)
    try:
        with _open(path) as stream:
            if kind == "jsonl":
                yield from _json_lines(stream, file)
            elif kind == "json":
                yield from _json_rows(stream, file)
            elif kind == "text":
                yield from _text_rows(stream, file)
            else:
                from harness.data.tables import csv_rows

                yield from csv_rows(stream, file, "\t" if kind == "tsv" else ",")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        yield Problem(f"the gzip file is damaged: {error}", file)
    except OSError as error:
        yield Problem(f"cannot be read: {error.strerror or error}", file)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as stream:
            yield stream  # type: ignore[misc]  # GzipFile reads like a BinaryIO
    else:
        with path.open("rb") as stream:
            yield stream


def _columnar_rows(path: Path, kind: FileKind) -> Iterator[Item]:
    from harness.data.tables import arrow_rows, parquet_rows

    yield from parquet_rows(path) if kind == "parquet" else arrow_rows(path)


def _json_lines(stream: BinaryIO, file: str) -> Iterator[Item]:
    for line in read_lines(stream, file):
        yield line if isinstance(line, Problem) else _parse_line(line, file)


def _text_rows(stream: BinaryIO, file: str) -> Iterator[Item]:
    for line in read_lines(stream, file):
        yield line if isinstance(line, Problem) else Row({"text": line.text}, Source(file, line.number))


def _parse_line(line: Line, file: str) -> Item:
    try:
        value = json.loads(line.text)
    except json.JSONDecodeError as error:
        near = line.text[max(0, error.pos - 20) : error.pos + 20]
        return Problem(
            f"malformed JSON: {error.msg} at column {error.pos + 1}, near {shorten(near)}", file, line.number
        )
    except (RecursionError, ValueError) as error:
        return Problem(f"JSON that cannot be read: {error}", file, line.number)
    return row_of(value, file, line.number)


def row_of(value: Any, file: str, line: int) -> Item:
    """Return ``value`` as a row, or the problem that it is not an object."""
    if isinstance(value, dict):
        return Row(value, Source(file, line))
    return Problem(f"a row must be an object, this is {shorten(value)} ({type(value).__name__})", file, line)


def _json_rows(stream: BinaryIO, file: str) -> Iterator[Item]:
    """Read a JSON list of rows, or JSON Lines under the name ``.json``."""
    text = _whole_text(stream, file)
    if isinstance(text, Problem):
        yield text
        return
    body = text.lstrip()
    if body.startswith("["):
        yield from _json_list(text, len(text) - len(body) + 1, file)
    elif body.startswith("{") and _is_one_object(body):
        yield row_of(json.loads(body), file, text.count("\n", 0, len(text) - len(body)) + 1)
    else:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield _parse_line(Line(number, line), file)


def _is_one_object(body: str) -> bool:
    """Whether ``body`` is a single object, perhaps written over several lines."""
    try:
        _, end = json.JSONDecoder().raw_decode(body)
    except (ValueError, RecursionError):
        return False
    return not body[end:].strip()


def _whole_text(stream: BinaryIO, file: str) -> str | Problem:
    raw = stream.read(MAX_JSON_BYTES + 1)
    if len(raw) > MAX_JSON_BYTES:
        return Problem(f"the file is larger than {MAX_JSON_BYTES:,} bytes; write it as JSON Lines (.jsonl)", file)
    if wide := wide_encoding(raw):
        return Problem(f"the file is {wide}; save it as UTF-8 (iconv -f {wide} -t UTF-8)", file, 1)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = raw.rfind(b"\n", 0, error.start) + 1
        number = raw.count(b"\n", 0, error.start) + 1
        found = decode_line(raw[start:].split(b"\n", 1)[0], file, number, start)
        return found if isinstance(found, Problem) else Problem(f"not UTF-8: {error}", file, number)


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _json_list(text: str, position: int, file: str) -> Iterator[Item]:
    """Yield the elements of a JSON list one at a time, so that each knows its line."""
    decoder = json.JSONDecoder()
    counted, line, first = 0, 1, True
    while True:
        position = _after_space(text, position)
        if position < len(text) and text[position] == "]":
            if text[position + 1 :].strip():
                yield Problem("there is something after the end of the list", file, text.count("\n", 0, position) + 1)
            return
        if not first and text.startswith(",", position):
            position = _after_space(text, position + 1)
        elif not first:
            place = text.count("\n", 0, position) + 1
            yield Problem("malformed JSON: a comma or ']' is missing; what follows could not be read", file, place)
            return
        line += text.count("\n", counted, position)
        counted, first = position, False
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            place = error.lineno if isinstance(error, json.JSONDecodeError) else line
            what = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            yield Problem(f"malformed JSON: {what}; what follows in the list could not be read", file, place)
            return
        if position - counted > MAX_LINE_BYTES:
            yield Problem(
                f"the row is {position - counted:,} characters long, more than {MAX_LINE_BYTES:,}", file, line
            )
        else:
            yield row_of(value, file, line)
