"""How bad rows are collected, and shown together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.errors import DataError, Problem

SHOWN = 200
"""Problems printed in one message; the exception itself carries every one."""


class RowError(Exception):
    """What is wrong with one row; whoever reads the file adds where the row stands."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


class RowsError(DataError):
    """All bad rows of a data set: ``problems`` holds every one, the message the first :data:`SHOWN`."""

    def __init__(self, title: str, problems: Sequence[Problem] = (), hint: str = "") -> None:
        """Join ``title``, the first problems, how many more there are, and the ``hint``."""
        shown = tuple(problems[:SHOWN])
        more = len(problems) - len(shown)
        rest = f"  … and {more:,} more problems" if more else ""
        super().__init__(title, shown, "\n".join(part for part in (rest, hint) if part))
        self.problems = tuple(problems)


def shorten(value: object, limit: int = 80) -> str:
    """Return ``repr(value)`` cut to ``limit`` characters, for a message."""
    text = repr(value if not isinstance(value, str) else value[: limit * 2])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known word nearest to ``word``, or nothing."""
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {found[0]!r}?)" if found else ""
