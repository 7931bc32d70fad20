"""The key of a reply: the content of everything it depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from harness.store import digest
from harness.types import Case, Decoding, Grammar, to_json


@dataclass(frozen=True)
class KeyContext:
    """What all replies of a run have in common. Plain JSON, so that xdist workers can rebuild it."""

    model_hash: str
    """Base and adapter by content, or the endpoint's address."""
    template: str
    """Digest of the chat template's text and of the renderer's version."""
    tokenizer_hash: str
    engine: Mapping[str, Any]
    decoding: Decoding
    grammar: Grammar | None = None

    @cached_property
    def _common(self) -> str:
        return digest([self.model_hash, self.template, self.tokenizer_hash, self.engine])

    @cached_property
    def _decoding_json(self) -> Any:
        return to_json(self.decoding)

    def grammar_of(self, case: Case) -> Grammar | None:
        """Return the grammar the reply to ``case`` is held to; None while decoding is not guided."""
        if self.decoding.mode != "grammar":
            return None
        return case.grammar or self.grammar

    def key(self, case: Case, repeat: int = 0) -> str:
        """Return the key of the ``repeat``-th reply to ``case``; its expectations play no part.

        Nor does its id, except where replies come from a file and are found there by id.
        """
        grammar = self.grammar_of(case)
        messages = [
            (m.role, m.content, m.name, m.tool_call_id, [(c.name, c.arguments, c.id) for c in m.tool_calls])
            for m in case.messages
        ]
        asked = [messages, case.tools, self._decoding_json, (grammar.kind, grammar.text) if grammar else None, repeat]
        by_id = [case.id] if self.engine.get("by_case_id") else []
        return digest([self._common, asked, *by_id])

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`harness.types.to_json` wrote."""
        grammar = Grammar.from_json(data["grammar"]) if data.get("grammar") else None
        return cls(**{**data, "decoding": Decoding.from_json(data["decoding"]), "grammar": grammar})
