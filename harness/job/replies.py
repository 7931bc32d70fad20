"""Replies that were made elsewhere, read from a file and served like an engine's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError, Problem
from harness.protocols import OnEvent, OnReply
from harness.store import digest
from harness.types import Generation, Reply, Request

_TEXT_KEYS = ("text", "reply", "output", "completion")
_ID_KEYS = ("case_id", "id")
_NEXT = f'a row is {{"id": …, "text": …, "repeat": 0}}; the text may stand under {", ".join(_TEXT_KEYS)}'


def _named(case_id: str, repeat: int) -> str:
    """Name a reply as its item's id counts, from 1, and as the file does, from 0."""
    return f"case {case_id!r}" + (f', repeat {repeat + 1} ("repeat": {repeat} in the file)' if repeat else "")


def _read_row(row: Any, where: Problem) -> tuple[tuple[str, int], Reply] | Problem:
    def wrong(message: str) -> Problem:
        return Problem(message, where.file, where.line)

    if not isinstance(row, dict):
        return wrong(f"expected an object, found {type(row).__name__}")
    if "generation" in row and "case" in row:  # a line of failures.jsonl
        row = row["generation"] or {}
    case_id = next((row[key] for key in _ID_KEYS if key in row), None)
    if not isinstance(case_id, str):
        return wrong(f"no case id (a text under one of {', '.join(_ID_KEYS)})")
    repeat = row.get("repeat", 0)
    if not isinstance(repeat, int) or repeat < 0:
        return wrong(f"repeat is {repeat!r}; it is a whole number from 0")
    if "key" in row and "prompt_token_ids" in row:  # a stored generation
        g = Generation.from_json(row)
        return (case_id, repeat), Reply(
            g.text, g.token_ids, g.prompt_token_ids, g.finish_reason, g.prompt_tokens, g.completion_tokens, g.seconds,
            g.tool_calls, g.error,
        )  # fmt: skip
    text = next((row[key] for key in _TEXT_KEYS if key in row), None)
    if not isinstance(text, str):
        return wrong(f"case {case_id!r}: no reply (a text under one of {', '.join(_TEXT_KEYS)})")
    return (case_id, repeat), Reply(text, finish_reason=row.get("finish_reason", "unknown"))


def read_replies(path: Path) -> dict[tuple[str, int], Reply]:
    """Read a JSONL file of replies, by case id and repeat.

    Raises:
        DataError: the file cannot be read, or rows are wrong; all of them are named.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the generations file {path}: {error}", hint=_NEXT) from None
    replies: dict[tuple[str, int], Reply] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = Problem("", str(path), number)
        try:
            found = _read_row(json.loads(line), where)
        except (ValueError, KeyError, TypeError) as error:
            found = Problem(f"not a row of replies: {error}", str(path), number)
        if isinstance(found, Problem):
            problems.append(found)
        elif replies.get(found[0], found[1]) != found[1]:  # failures.jsonl holds a reply once for each test it failed
            problems.append(Problem(f"a second reply for {_named(*found[0])}", str(path), number))
        else:
            replies[found[0]] = found[1]
    if problems or not replies:
        raise DataError(f"{path}: {'rows are wrong' if problems else 'it holds no reply'}", problems, _NEXT)
    return replies


class FileEngine:
    """Serves the replies of a file; a case without one lands as an error, never as a wrong answer."""

    name = "generations"
    wants_ids = False

    def __init__(self, path: Path) -> None:
        """Read the file at once, so that a bad one is told before anything runs."""
        self._path = path
        self._replies = read_replies(path)
        self.identity: Mapping[str, Any] = {
            "name": self.name,
            "by_case_id": True,  # two cases may ask the same and have replies of their own
            "replies": digest(sorted((k, r.text) for k, r in self._replies.items())),
        }

    def start(self, on_event: OnEvent) -> None:
        """Do nothing: there is nothing to start."""

    def describe(self) -> Mapping[str, Any]:
        """Return the file and how many replies it holds."""
        return {"name": self.name, "file": str(self._path), "replies": len(self._replies)}

    def generate(self, requests: Sequence[Request], on_reply: OnReply) -> None:
        """Hand out the file's replies."""
        for request in requests:
            known = self._replies.get((request.case_id, request.repeat))
            missing = f"{self._path} holds no reply for {_named(request.case_id, request.repeat)}"
            on_reply(request, known or Reply("", finish_reason="error", error=missing))

    def score(self, token_ids: Sequence[int], *, base: bool = False) -> list[float]:  # noqa: ARG002
        """Refuse: a file has no logprobs."""
        raise DataError("a file of generations has no logprobs", hint="use --adapter or --base-only to score tokens")

    def close(self) -> None:
        """Do nothing."""
