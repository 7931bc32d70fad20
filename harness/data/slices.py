"""Split notation of the ``datasets`` library: ``train``, ``train[:120]``, ``[25%:75%]``, ``train[:5]+train[-5:]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
_PART = re.compile(
    r"^(?P<name>[A-Za-z_][\w.-]*)?(?:\[(?:(?P<start>-?[\d_]+)(?P<start_pct>%)?)?:(?:(?P<stop>-?[\d_]+)(?P<stop_pct>%)?)?\])?$"
)


@dataclass(frozen=True)
class SplitPart:
    """One ``name[start:stop]``; the bounds are rows, or per cent where ``percent``."""

    name: str
    start: int | None = None
    stop: int | None = None
    percent: bool = False

    def bounds(self, count: int) -> tuple[int, int]:
        """Return the rows this part takes out of ``count``, as ``datasets`` does (per cent rounds to the closest)."""
        start = self._row(self.start, count, 0)
        return start, max(start, self._row(self.stop, count, count))

    def _row(self, bound: int | None, count: int, default: int) -> int:
        if bound is None:
            return default
        row = round(bound * count / 100) if self.percent else bound
        return min(max(count + row, 0) if row < 0 else row, count)

    @property
    def head(self) -> int | None:
        """How many rows from the start are enough to know this part; None: all of them."""
        if self.percent or self.stop is None or self.stop < 0 or (self.start or 0) < 0:
            return None
        return self.stop


def parse_split(text: str) -> tuple[SplitPart, ...]:
    """Read a split notation; a part without a name is ``train``.

    Raises:
        ValueError: it is not one; the message shows the forms there are.
    """
    return tuple(_parse_part(part.strip(), text) for part in text.split("+"))


def _parse_part(part: str, whole: str) -> SplitPart:
    found = _PART.match(part)
    if not found or not part:
        raise ValueError(f"{whole!r} is not a split: write train, train[:120], train[10:20], [25%:75%] or [-50:]")
    percent = bool(found["start_pct"] or found["stop_pct"])
    start, stop = (int(found[name]) if found[name] else None for name in ("start", "stop"))
    if percent and any(abs(bound) > 100 for bound in (start, stop) if bound is not None):
        raise ValueError(f"{whole!r}: a bound in per cent lies between -100% and 100%")
    return SplitPart(found["name"] or "train", start, stop, percent)


def take(parts: Sequence[SplitPart], rows: Sequence[T]) -> list[T]:
    """Return the rows that ``parts`` (all of one split) select, in their order."""
    chosen: list[T] = []
    for part in parts:
        start, stop = part.bounds(len(rows))
        chosen += rows[start:stop]
    return chosen


def rows_needed(parts: Sequence[SplitPart]) -> int | None:
    """Return how many rows from the start suffice for ``parts``; None: all of them."""
    heads = [part.head for part in parts]
    known = [head for head in heads if head is not None]
    return max(known) if len(known) == len(heads) else None
