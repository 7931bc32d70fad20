"""Checks of a reply as text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from harness.checks.check import Check
from harness.checks.reply import Reply, excerpt, text_of
from harness.errors import ConfigError


def equals(reply: Reply, expected: str, *, strip: bool = True, ignore_case: bool = False) -> Check:
    """Check that the reply is ``expected``, by default without regard to surrounding white space."""
    have, want = text_of(reply), expected
    if strip:
        have, want = have.strip(), want.strip()
    if _fold(have, ignore_case) == _fold(want, ignore_case):
        return Check("equals", True)
    at = _first_difference(_fold(have, ignore_case), _fold(want, ignore_case))
    return Check("equals", False, f"{excerpt(have, at)} instead of {excerpt(want, at)} (differs at character {at})")


def contains(reply: Reply, part: str, *, ignore_case: bool = False) -> Check:
    """Check that ``part`` occurs in the reply."""
    return Check.of("contains", _absent(text_of(reply), [part], ignore_case))


def contains_all(reply: Reply, parts: Sequence[str], *, ignore_case: bool = False) -> Check:
    """Check that each of ``parts`` occurs in the reply; the reason names all that do not."""
    return Check.of("contains_all", _absent(text_of(reply), _several(parts), ignore_case))


def contains_any(reply: Reply, parts: Sequence[str], *, ignore_case: bool = False) -> Check:
    """Check that at least one of ``parts`` occurs in the reply."""
    missing = _absent(text_of(reply), _several(parts), ignore_case)
    wanted = ", ".join(map(repr, parts))
    found = len(missing) < len(parts)
    return Check("contains_any", found, "" if found else f"none of {wanted} in {excerpt(text_of(reply))}")


def excludes(reply: Reply, *parts: str, ignore_case: bool = False) -> Check:
    """Check that none of ``parts`` occurs in the reply; the reason shows where each does."""
    text = text_of(reply)
    folded = _fold(text, ignore_case)
    places = [(part, folded.find(_fold(part, ignore_case))) for part in parts]
    return Check.of("excludes", [f"{part!r} is in {excerpt(text, at)}" for part, at in places if at >= 0])


def starts_with(reply: Reply, *prefixes: str, ignore_case: bool = False) -> Check:
    """Check that the reply starts with one of ``prefixes``, white space before it aside."""
    text = text_of(reply).lstrip()
    passed = _fold(text, ignore_case).startswith(tuple(_fold(prefix, ignore_case) for prefix in prefixes))
    wanted = " or ".join(map(repr, prefixes))
    return Check("starts_with", passed, "" if passed else f"starts with {excerpt(text)}, not with {wanted}")


def ends_with(reply: Reply, *suffixes: str, ignore_case: bool = False) -> Check:
    """Check that the reply ends with one of ``suffixes``, white space after it aside."""
    text = text_of(reply).rstrip()
    passed = _fold(text, ignore_case).endswith(tuple(_fold(suffix, ignore_case) for suffix in suffixes))
    wanted = " or ".join(map(repr, suffixes))
    return Check("ends_with", passed, "" if passed else f"ends with {excerpt(text, len(text))}, not with {wanted}")


def matches_regex(reply: Reply, pattern: str | re.Pattern[str], *, full: bool = False) -> Check:
    """Check that ``pattern`` matches somewhere in the reply, or the whole of it without surrounding space if ``full``.

    Raises:
        ConfigError: the pattern is not a regular expression.
    """
    text = text_of(reply)
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{pattern!r} is not a regular expression: {error}") from None
    passed = bool(compiled.fullmatch(text.strip()) if full else compiled.search(text))
    where = "the whole of" if full else "anything in"
    return Check(
        "matches_regex", passed, "" if passed else f"{compiled.pattern!r} does not match {where} {excerpt(text)}"
    )


def one_of(reply: Reply, choices: Sequence[str], *, ignore_case: bool = False) -> Check:
    """Check that the reply, surrounding white space aside, is one of ``choices``."""
    text = text_of(reply).strip()
    allowed = {_fold(choice, ignore_case): choice for choice in _several(choices)}
    if _fold(text, ignore_case) in allowed:
        return Check("one_of", True)
    matches = difflib.get_close_matches(_fold(text, ignore_case)[:200], list(allowed), n=1)
    nearest = f" (nearest: {allowed[matches[0]]!r})" if matches else ""
    return Check("one_of", False, f"{excerpt(text)} is not one of {', '.join(map(repr, choices))}{nearest}")


def no_repetition(reply: Reply, *, times: int = 5, characters: int = 60) -> Check:
    """Check that the reply does not run in circles.

    It does when a piece of text of 2 to 200 characters, with a letter or digit in it, stands ``times``
    or more in a row, over ``characters`` or more in all.
    """
    text = text_of(reply)
    for match in re.finditer(rf"(.{{2,200}}?)\1{{{times - 1},}}", text, re.DOTALL):
        piece, whole = match[1], match[0]
        if len(whole) >= characters and any(letter.isalnum() for letter in piece):
            count = len(whole) // len(piece)
            return Check(
                "no_repetition", False, f"{excerpt(piece)} stands {count} times in a row from character {match.start()}"
            )
    return Check("no_repetition", True)


def _fold(text: str, ignore_case: bool) -> str:
    return text.casefold() if ignore_case else text


def _several(parts: Sequence[str]) -> Sequence[str]:
    if isinstance(parts, str):
        raise ConfigError(f"a list of strings is wanted, not the one string {parts!r}", hint=f"Write [{parts!r}].")
    return parts


def _absent(text: str, parts: Sequence[str], ignore_case: bool) -> list[str]:
    folded = _fold(text, ignore_case)
    missing = [part for part in parts if _fold(part, ignore_case) not in folded]
    return [_explain_absent(text, part, ignore_case) for part in missing]


def _explain_absent(text: str, part: str, ignore_case: bool) -> str:
    if not ignore_case and part.casefold() in text.casefold():
        return f"{part!r} is there only in other case: {excerpt(text, text.casefold().find(part.casefold()))}"
    return f"{part!r} is not in {excerpt(text)}"


def _first_difference(left: str, right: str) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(left), len(right)))
