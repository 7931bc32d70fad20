"""What checks read: a generation, or its text by itself."""

from __future__ import annotations

from harness.types import Generation

Reply = Generation | str


def text_of(reply: Reply) -> str:
    """Return the reply's text."""
    return reply.text if isinstance(reply, Generation) else reply


def excerpt(text: str, around: int = 0, width: int = 60) -> str:
    """Return about ``width`` characters of ``text`` around a position, as a quoted literal on one line."""
    start = max(min(around - width // 2, len(text) - width), 0)
    part = text[start : start + width]
    return ("…" if start else "") + repr(part) + ("…" if start + width < len(text) else "")


def end_of(text: str, width: int = 60) -> str:
    """Return the last ``width`` characters of ``text``, as a quoted literal on one line."""
    return excerpt(text, len(text), width)
