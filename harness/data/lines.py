"""Lines of text files, streamed: bounded memory, and an exact place for whatever is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from harness.errors import Problem

MAX_LINE_BYTES = 64 * 2**20
_CHUNK = 2**20
_UTF8_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end; ``number`` counts from 1, blank lines included."""

    number: int
    text: str


def read_lines(
    stream: BinaryIO, file: str, limit: int = MAX_LINE_BYTES, *, blank: bool = False
) -> Iterator[Line | Problem]:
    r"""Yield the lines of ``stream``; a line that cannot be read is a problem instead.

    Blank lines are left out unless ``blank``.

    A byte order mark and ``\r\n`` are taken off. A line longer than ``limit`` bytes is skipped without
    being held in memory.
    """
    offset, number = 0, 0
    while raw := stream.readline(limit + 1):
        number += 1
        size = len(raw)
        if number == 1:
            if wide := wide_encoding(raw):
                yield Problem(f"the file is {wide}; save it as UTF-8 (iconv -f {wide} -t UTF-8)", file, 1)
                return
            raw = raw.removeprefix(_UTF8_BOM)
        if size > limit and not raw.endswith(b"\n"):
            size += _skip_line(stream)
            yield Problem(_too_long(size, limit), file, number)
        else:
            line = decode_line(raw.rstrip(b"\r\n"), file, number, offset + size - len(raw))
            if blank or isinstance(line, Problem) or line.text.strip():
                yield line
        offset += size


def decode_line(raw: bytes, file: str, number: int, offset: int) -> Line | Problem:
    """Decode one line as UTF-8; ``offset`` is where it begins in the file."""
    try:
        return Line(number, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        return Problem(
            f"not UTF-8: byte 0x{byte:02x} at offset {offset + error.start} of the file"
            f" (column {error.start + 1} of the line); save the file as UTF-8 (if it is Windows-1252:"
            f" iconv -f WINDOWS-1252 -t UTF-8)",
            file,
            number,
        )


def wide_encoding(start: bytes) -> str | None:
    """Return the name of the 2-byte encoding whose mark ``start`` begins with, or None."""
    return _WIDE_BOMS.get(start[:2])


def _skip_line(stream: BinaryIO) -> int:
    """Read to the end of the line in pieces and return how many bytes that was."""
    skipped = 0
    while piece := stream.readline(_CHUNK):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _too_long(size: int, limit: int) -> str:
    return (
        f"the line is {size:,} bytes long, more than {limit:,} ({limit // 2**20} MiB) that one row may take;"
        " is the file JSON Lines, one row a line?"
    )
