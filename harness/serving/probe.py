"""Whether a grammar binds: old request fields are accepted by some servers and constrain nothing."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from harness.errors import EngineError
from harness.types import Grammar, Reply, Request

PROBE = Grammar("regex", "Zq[XK]{4}7Zq")
"""No model writes this by chance."""


def check_grammar_binds(engine: str, request: Request, reply: Callable[[Request], Reply]) -> None:
    """Ask for the improbable and see that it comes.

    Raises:
        EngineError: the engine accepts a grammar and does not enforce it.
    """
    decoding = dataclasses.replace(request.decoding, max_tokens=32, stop=(), temperature=0.0)
    answer = reply(dataclasses.replace(request, decoding=decoding, grammar=PROBE))
    if answer.error is not None:
        raise EngineError(f"the {engine} engine refuses a grammar: {answer.error}")
    if re.fullmatch(PROBE.text, answer.text) is None:
        raise EngineError(
            f"the {engine} engine accepts a grammar but does not enforce it: asked for /{PROBE.text}/, "
            f"it wrote {answer.text[:80]!r}"
        )
