"""What language a reply is in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from harness.checks.check import Check
from harness.checks.reply import Reply, excerpt, text_of
from harness.errors import ConfigError

FEWEST_LETTERS = 12
"""With fewer letters, telling languages apart is guessing."""


def language_is(reply: Reply, language: str, *, among: Sequence[str] = (), at_least: float = 0.0) -> Check:
    """Check that the reply is in ``language``, by py3langid.

    Args:
        reply: the reply; one too short to tell does not pass.
        language: ISO 639-1 code, such as ``en``.
        among: the languages that come into question, when they are known: short texts are told apart better.
        at_least: the probability that the language must have, beside being the likeliest.

    Raises:
        ConfigError: a language that py3langid does not know.
    """
    text = text_of(reply)
    identifier = _identifier(tuple(sorted({*among, language})) if among else ())
    if language not in identifier.labels:
        raise ConfigError(f"unknown language {language!r}", hint=f"Known are {', '.join(sorted(identifier.labels))}.")
    if sum(letter.isalpha() for letter in text) < FEWEST_LETTERS:
        return Check("language_is", False, f"too little text to tell: {excerpt(text)}")
    ranked: list[tuple[str, float]] = identifier.rank(text)
    likeliest, probability = ranked[0]
    own = dict(ranked)[language]
    if likeliest == language and own >= at_least:
        return Check("language_is", True, f"{language} ({own:.2f})")
    found = f"{likeliest} ({probability:.2f}) instead of {language} ({own:.2f})"
    if likeliest == language:
        found = f"{language} only at {own:.2f}, {at_least:.2f} wanted"
    return Check("language_is", False, f"{found}: {excerpt(text)}")


@lru_cache(maxsize=16)
def _identifier(languages: tuple[str, ...]) -> Any:
    """Return an identifier of one's own: the module's is shared, and setting its languages changes it for all."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if languages:
        try:
            identifier.set_languages(languages)
        except ValueError as error:
            known = ", ".join(sorted(identifier.labels))
            raise ConfigError(str(error), hint=f"Known are {known}.") from None
    return identifier
