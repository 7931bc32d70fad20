"""How replies are decoded."""

import json
from typing import Any

from harness.config.fields import Int, Names, Number, Section, Seed, key
from harness.types import DecodeMode, Decoding, Grammar


class GrammarConfig(Section):
    """A constraint on every reply: exactly one of the four."""

    schema_: dict[str, Any] | None = key(
        "JSON schema: a file, or the schema itself.", None, affects="generation", path="json", alias="json"
    )
    regex: str | None = key("Regular expression that the whole reply matches.", None, affects="generation")
    choice: Names | None = key("The replies that are allowed.", None, affects="generation", min_length=1)
    lark: str | None = key("Lark grammar: a file, or its text.", None, affects="generation", path="text")

    def grammar(self) -> Grammar:
        """Return the constraint in the form that engines take."""
        if self.schema_ is not None:
            return Grammar("json", json.dumps(self.schema_, ensure_ascii=False))
        if self.choice is not None:
            return Grammar("choice", json.dumps(self.choice, ensure_ascii=False))
        if self.regex is not None:
            return Grammar("regex", self.regex)
        return Grammar("lark", self.lark or "")


class DecodeConfig(Section):
    """Sampling parameters; the default is greedy."""

    mode: DecodeMode = key(
        "`grammar`: replies are held to the grammar of their case, or to the one below; `greedy`: they are free.",
        "greedy",
        affects="generation",
    )
    max_tokens: Int = key("Longest reply, in tokens.", 256, affects="generation", gt=0)
    temperature: Number = key("0: always the likeliest token.", 0.0, affects="generation", ge=0)
    top_p: Number = key("Sample from the likeliest tokens that have this share.", 1.0, affects="generation", gt=0, le=1)
    top_k: Int = key("Sample from that many of the likeliest tokens; 0: from all.", 0, affects="generation", ge=0)
    repetition_penalty: Number = key("Above 1: tokens that were used get less likely.", 1.0, affects="generation", gt=0)
    beams: Int = key("Above 1: beam search with as many beams.", 1, affects="generation", gt=0)
    seed: Seed = key("Seed of the sampling.", 0, affects="generation")
    stop: Names = key("Texts that end a reply.", (), affects="generation")
    grammar: GrammarConfig | None = key(
        "Grammar for cases that declare none, in `grammar` mode.", None, affects="generation"
    )

    def decoding(self, mode: DecodeMode | None = None) -> Decoding:
        """Return the parameters as a noun, in ``mode`` or the configured one."""
        return Decoding(
            mode=mode or self.mode,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            repetition_penalty=self.repetition_penalty,
            beams=self.beams,
            seed=self.seed,
            stop=self.stop,
        )
