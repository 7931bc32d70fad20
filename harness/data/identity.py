"""Names of samples: the row's own id, or a digest of its content that stays when rows move."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.errors import Problem
from harness.types import Message, Sample, to_json

_DIGITS = 16


def content_digest(sample: Sample) -> str:
    """Return the digest of what the model sees of ``sample``: its messages and tools."""
    return digest_of(sample.messages, sample.tools)


def prompt_digest(sample: Sample) -> str:
    """Return the digest of ``sample`` without its last reply: rows that ask the same have the same one."""
    last = max((n for n, message in enumerate(sample.messages) if message.role == "assistant"), default=None)
    return digest_of(sample.messages[:last], sample.tools)


def digest_of(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], extra: Any = None) -> str:
    """Return a short digest of a conversation."""
    turns = [[turn.role, turn.content, turn.tool_calls, turn.name, turn.tool_call_id] for turn in messages]
    text = _ENCODER.encode([turns, tools, extra])
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_DIGITS]


def _plain(value: Any) -> Any:
    """Return what JSON has no form for as something that it has one for (dates of a Parquet file, say)."""
    plain = to_json(value)
    return str(value) if plain is value else plain


_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True, default=_plain)


def assign_ids(samples: Iterable[Sample], taken: Iterable[str] = ()) -> tuple[list[Sample], list[Problem]]:
    """Name the samples of one data set.

    An id that the rows give stays; the same one twice is a problem. A row without one is named after its
    content, and the n-th of the same content gets ``#n``. So does an id that another data set has ``taken``.

    Returns:
        The samples that have a name, and the problems of those that have not.
    """
    others = set(taken)
    numbers: dict[str, int] = {}
    seen: dict[str, Sample] = {}
    named: list[Sample] = []
    problems: list[Problem] = []
    for sample in samples:
        if sample.id and sample.id in seen:
            problems.append(_clash(sample, seen[sample.id]))
            continue
        wanted = sample.id or content_digest(sample)
        if sample.id:
            seen[sample.id] = sample
        name = _free(wanted, others, numbers)
        others.add(name)
        named.append(sample if name == sample.id else replace(sample, id=name))
    return named, problems


def _free(wanted: str, taken: set[str], numbers: dict[str, int]) -> str:
    """Return ``wanted``, or ``wanted#n`` with the first n from 2 that is free."""
    name, number = wanted, numbers.get(wanted, 1)
    while name in taken:
        number += 1
        name = f"{wanted}#{number}"
    numbers[wanted] = number
    return name


def _clash(sample: Sample, first: Sample) -> Problem:
    source = sample.source
    return Problem(
        f"the id {sample.id!r} is already that of the row at {first.source}; ids are unique within a data set",
        source.file if source else None,
        source.line if source else None,
        sample.id,
    )
