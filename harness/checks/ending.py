"""Whether a reply ended by itself, and whether it is an answer at all."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.checks.check import Check
from harness.checks.reply import Reply, end_of, excerpt, text_of
from harness.types import Generation

_OPENING = 400
"""Refusals stand at the beginning; later, the same words are mostly about something else."""

_DEEDS = "(?:help|assist|comply|fulfil|provide|answer|do that|do this|create|generate|write|engage|discuss|support)"
_REFUSALS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\bi(?:'m| am) (?:sorry|afraid),? (?:but )?(?:i|that)\b",
        r"\bi apologi[sz]e,? but\b",
        rf"\bi (?:can(?:'t|not| not)|won't|will not|am not able to|am unable to) {_DEEDS}\b",
        rf"\bi'm (?:not able|unable) to {_DEEDS}\b",
        r"\bas an? (?:ai|artificial intelligence|language model|large language model)\b",
        r"\bi(?: must| have to|'ll have to| will have to) (?:decline|refuse)\b",
        r"\bagainst my (?:guidelines|programming|policy|policies|principles)\b",
    )
)


def stopped(generation: Generation) -> Check:
    """Check that the model ended the reply by itself (a stop token, or a tool call)."""
    if generation.finish_reason in ("stop", "tool_calls"):
        return Check("stopped", True)
    if generation.finish_reason == "length":
        limit = generation.decoding.max_tokens
        tokens = generation.completion_tokens or len(generation.token_ids)
        why = f"cut off after {tokens} tokens (max_tokens {limit}); ends with {end_of(generation.text)}"
        return Check("stopped", False, why)
    detail = f": {generation.error}" if generation.error else ""
    return Check("stopped", False, f"finish reason {generation.finish_reason}{detail}")


def no_refusal(reply: Reply, *, phrases: Sequence[str] = ()) -> Check:
    """Check that the reply does not open with one of the usual English refusals, or with one of ``phrases``.

    A word list, so a lower bound: refusals in other words pass, and none of it looks at what was asked.
    """
    opening = text_of(reply)[:_OPENING].replace("’", "'")
    for pattern in (*_REFUSALS, *(re.compile(re.escape(phrase), re.IGNORECASE) for phrase in phrases)):
        if match := pattern.search(opening):
            return Check("no_refusal", False, f"{match[0]!r} in {excerpt(opening, match.start(), 100)}")
    return Check("no_refusal", True)
