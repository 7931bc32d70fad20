"""Checks of a number in a reply, and of how long a reply is."""

from __future__ import annotations

import math
import re
from typing import Literal

from harness.checks.check import Check
from harness.checks.reply import Reply, end_of, excerpt, text_of
from harness.errors import ConfigError
from harness.types import Generation

Unit = Literal["characters", "words", "lines", "tokens"]

_NUMBER = re.compile(r"(?<![\w.,])[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|\d)(?:[eE][-+]?\d+)?(?![\w]|[.,]\d)")


def close_to(
    reply: Reply | float,
    expected: float,
    *,
    rel: float = 1e-6,
    abs: float = 0.0,
    pick: Literal["only", "first", "last"] = "only",
) -> Check:
    """Check that the number in the reply is ``expected``, within the larger of the two tolerances.

    Args:
        reply: a reply with a number in it (``1,234.5``, ``-3e5`` and the sign ``−`` are read), or a number.
        expected: the right value.
        rel: tolerance as a share of the larger of the two values.
        abs: tolerance in the number's own unit.
        pick: which number counts where there are several; ``only`` fails where there are.
    """
    found = [float(reply)] if isinstance(reply, int | float) else _numbers(text_of(reply))
    if not found:
        return Check("close_to", False, f"no number in {excerpt(text_of(reply))}" if isinstance(reply, Reply) else "")
    if pick == "only" and len(found) > 1:
        return Check(
            "close_to", False, f"{len(found)} numbers where one is wanted: {', '.join(f'{n:g}' for n in found[:8])}"
        )
    value = found[-1] if pick == "last" else found[0]
    if math.isclose(value, expected, rel_tol=rel, abs_tol=abs):
        return Check("close_to", True)
    allowed = max(rel * max(math.fabs(value), math.fabs(expected)), abs)
    off = math.fabs(value - expected)
    return Check("close_to", False, f"{value:g} instead of {expected:g}: off by {off:.3g}, allowed {allowed:.3g}")


def length(reply: Reply, *, unit: Unit = "characters", at_least: int = 0, at_most: int | None = None) -> Check:
    """Check how long the reply is, surrounding white space aside (tokens are counted as generated).

    Raises:
        ConfigError: tokens are asked of a text, which has none.
    """
    count = _count(reply, unit)
    if count < at_least:
        return Check("length", False, f"{count} {unit}, at least {at_least} wanted: {excerpt(text_of(reply))}")
    if at_most is not None and count > at_most:
        return Check("length", False, f"{count} {unit}, at most {at_most} wanted; ends with {end_of(text_of(reply))}")
    return Check("length", True, f"{count} {unit}")


def _count(reply: Reply, unit: Unit) -> int:
    text = text_of(reply).strip()
    if unit == "tokens":
        if not isinstance(reply, Generation):
            raise ConfigError("length in tokens needs a generation; a text has none", hint="Count characters or words.")
        return len(reply.token_ids) or reply.completion_tokens
    if unit == "words":
        return len(text.split())
    return len(text.splitlines()) if unit == "lines" else len(text)


def _numbers(text: str) -> list[float]:
    return [float(match.replace(",", "").replace("−", "-")) for match in _NUMBER.findall(text)]
