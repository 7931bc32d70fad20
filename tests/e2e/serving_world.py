"""What the serving tests share: an adapter, its merged model, prompts, and the reference's answers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from harness.config import ServeConfig
from harness.models import merge_adapter
from harness.serving import make_engine
from harness.store import Home
from harness.types import Adapter, Base, Decoding, Grammar, Request

QUESTIONS = (
    "What is the capital of France?",
    "Name a colour.",
    "Write one sentence about a river that runs through a very old town.",
    "What is 2 + 3?",
    "Translate 'good morning' into German, and say nothing else.",
    "Who wrote Hamlet?",
)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "n": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["city", "n"],
    "additionalProperties": False,
}
GRAMMARS = {
    "json": Grammar("json", json.dumps(SCHEMA)),
    "regex": Grammar("regex", "[0-9]{3}-[a-f]{2}"),
    "choice": Grammar("choice", '["maybe so", "certainly not"]'),
    "lark": Grammar("lark", 'start: "<" DIGIT "|" DIGIT ">"\nDIGIT: /[0-9]/'),
}


def quiet(event: Any) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class World:
    base: Base
    adapter: Adapter
    home: Home
    reference: dict[str, Any]
    prompts: list[list[int]]
    stop: int

    def request(self, number: int, grammar: Grammar | None = None, case: str | None = None, **decoding: Any) -> Request:
        return Request(
            key=case or str(number),
            case_id=case or str(number),
            messages=(),
            tools=(),
            decoding=Decoding(**{"max_tokens": 16, **decoding}),
            grammar=grammar,
            prompt_ids=tuple(self.prompts[number]),
            stop_ids=(self.stop,),
        )

    def engine(self, work: Path, *, merged: Any = None, base_only: bool = False, **serve: Any) -> Any:
        config = ServeConfig(**{"dtype": "float32", "max_model_len": 512, **serve})
        return make_engine(
            config, self.base, None if base_only else self.adapter, merged=merged or self.merged, work=work
        )

    def merged(self) -> Path:
        return merge_adapter(self.base, self.adapter, self.home, dtype="float32", on_event=quiet)

    def decode(self, ids: list[int]) -> str:
        """Return the text of a reply, without the stop token at its end."""
        tokenizer = Tokenizer.from_file(str(self.base.path / "tokenizer.json"))
        written = ids[:-1] if ids and ids[-1] == self.stop else ids
        text: str = tokenizer.decode(written, skip_special_tokens=False)
        return text

    def canary(self) -> dict[str, Any]:
        canary: dict[str, Any] = json.loads((self.merged() / "canary.json").read_text(encoding="utf-8"))
        return canary


@lru_cache(maxsize=1)
def build(base: Base, folder: Path) -> World:
    tokenizer = Tokenizer.from_file(str(base.path / "tokenizer.json"))
    prompts = [
        tokenizer.encode(
            f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False
        ).ids
        for question in QUESTIONS
    ]
    stop = tokenizer.token_to_id("<|im_end|>")
    out = folder / "adapter"
    out.mkdir()
    (out / "request.json").write_text(json.dumps({"prompts": prompts, "stop": stop}), encoding="utf-8")
    script = Path(__file__).with_name("serving_reference.py")
    subprocess.run([sys.executable, str(script), str(base.path), str(out)], check=True)
    adapter = Adapter(out, base.ref, base.content_hash, "lora", "5" * 64, "d" * 64, "e" * 64)
    reference = json.loads((out / "reference.json").read_text(encoding="utf-8"))
    return World(base, adapter, Home(folder / "home"), reference, prompts, stop)


def generate(engine: Any, requests: list[Request]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    engine.generate(requests, lambda request, reply: found.__setitem__(request.case_id, reply))
    return found
