"""What kind of JSON value something is, and how it is shown in a message."""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, TypeGuard


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether ``value`` is a whole number; true is not 1, and 1.0 is not either."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_time(value: Any) -> TypeGuard[int]:
    """Whether ``value`` is a positive whole number of seconds."""
    return is_integer(value) and value >= 1


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number."""
    return is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def is_scalar(value: Any) -> bool:
    """Whether ``value`` is a string, a number or a boolean."""
    return isinstance(value, str | bool) or is_number(value)


def nearest(value: Any, allowed: Sequence[str]) -> str:
    """Return the nearest of what is ``allowed``, in brackets; nothing where none is near."""
    matches = get_close_matches(value[:100], allowed, n=1) if isinstance(value, str) else []
    return f" (nearest: {matches[0]})" if matches else ""


def show(value: Any) -> str:
    """Return ``value`` on one line, cut short."""
    if value is None:
        return "nothing"
    try:
        text = repr(value)
    except RecursionError:
        return "something nested too deeply"
    return text if len(text) <= 60 else f"{text[:57]}…"
