"""The completions protocol, in which token ids go out and come back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.serving.grammar import structured_outputs
from harness.types import FinishReason, Reply, Request

_FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def completion_body(request: Request, model: str) -> dict[str, Any]:
    """Return the body of ``/v1/completions`` for one request; nothing is left to a server's default."""
    decoding = request.decoding
    body: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt_ids,
        "max_tokens": decoding.max_tokens,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,
        "repetition_penalty": decoding.repetition_penalty,
        "seed": decoding.seed + request.repeat,
        "stop": decoding.stop,
        "stop_token_ids": request.stop_ids,
        # a reply is judged as it was written: special tokens in its middle are not hidden
        "skip_special_tokens": False,
        "return_token_ids": True,
    }
    if decoding.beams > 1:
        body |= {"use_beam_search": True, "n": decoding.beams}
    if request.grammar is not None:
        body["structured_outputs"] = structured_outputs(request.grammar)
    return body


def score_body(token_ids: Sequence[int], model: str) -> dict[str, Any]:
    """Return the body that asks for the logprobs of ``token_ids`` themselves."""
    return {"model": model, "prompt": token_ids, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}


def read_completion(body: Mapping[str, Any], request: Request, seconds: float) -> Reply:
    """Turn the body of a completion into a reply."""
    choice = body["choices"][0]
    if choice.get("finish_reason") not in ("stop", "length"):
        return Reply("", error=f"the engine ended this request: finish_reason is {choice.get('finish_reason')!r}")
    token_ids = tuple(choice.get("token_ids") or ())
    return Reply(
        text=choice["text"],
        token_ids=token_ids,
        prompt_token_ids=tuple(choice.get("prompt_token_ids") or request.prompt_ids),
        finish_reason=finish_reason(choice.get("finish_reason")),
        prompt_tokens=len(request.prompt_ids),
        completion_tokens=len(token_ids),
        seconds=seconds,
    )


def read_scores(body: Mapping[str, Any], token_ids: Sequence[int]) -> list[float]:
    """Return the logprob of each token after the first."""
    entries = body["choices"][0]["prompt_logprobs"]
    return [float(entry[str(token)]["logprob"]) for token, entry in zip(token_ids[1:], entries[1:], strict=True)]


def finish_reason(value: Any) -> FinishReason:
    """Map a server's word to ours."""
    return _FINISH.get(value, "unknown")


def error_text(content: bytes | str) -> str:
    """Return the message of an error body: OpenAI's shape, FastAPI's, or the beginning of whatever it is."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    try:
        body = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:300] or "(empty body)"
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error
        return message if isinstance(message, str) else json.dumps(message)[:500]
    return str(error)[:500]
