"""From a request's body to prompt ids: as they come, from text, or from messages with the model's template."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.serving.messages import read_message
from harness.serving.transformers_server.ask import BadRequest
from harness.serving.transformers_server.job import ServerJob

if TYPE_CHECKING:
    from harness.data import Renderer


def prompt_ids(job: ServerJob, body: Mapping[str, Any], *, chat: bool) -> tuple[list[int], list[int]]:
    """Return the prompt's ids, and the template's stop ids where a template was used."""
    if chat:
        if job.template is None:
            raise BadRequest("no chat template was given; use /v1/completions")
        renderer = _renderer(job)
        messages = tuple(read_message(message) for message in body["messages"])
        return list(renderer.prompt_ids(messages, tuple(body.get("tools") or ()))), list(renderer.stop_ids)
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return _tokenizer(job.model).encode(prompt).ids, []
    if not isinstance(prompt, list) or not all(isinstance(token, int) for token in prompt):
        raise BadRequest("the prompt is a text or a list of token ids")
    return prompt, []


@lru_cache(maxsize=1)
def _renderer(job: ServerJob) -> Renderer:
    from harness.data import Renderer

    return Renderer.from_folder(Path(job.model), template=job.template)


@lru_cache(maxsize=1)
def _tokenizer(folder: str) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
