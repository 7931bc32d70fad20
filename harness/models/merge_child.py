"""Child process: merges an adapter into its base, and measures both on a canary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ModelError, Problem
from harness.models.adapter import CANARY
from harness.process.job import Emit, job_main

FALLBACK_IDS = tuple(range(5, 69))
"""For adapters made elsewhere: any text will do to see that base and adapter differ."""


def merge(request: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Write the merged model to ``request["target"]``.

    ``canary.json`` holds ``ids`` (a list of token sequences), ``base_logprobs`` and ``merged_logprobs``:
    for each sequence of length T the T - 1 logprobs of its tokens from the second on, computed in
    float32 from the weights as they are on disk.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter, target = Path(request["adapter"]), Path(request["target"])
    canary = adapter / CANARY
    ids = json.loads(canary.read_text(encoding="utf-8"))["ids"] if canary.is_file() else [list(FALLBACK_IDS)]
    base = AutoModelForCausalLM.from_pretrained(request["base"], dtype=torch.float32)
    base_logprobs = logprobs(base, ids)
    try:
        merged = PeftModel.from_pretrained(base, str(adapter)).merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, KeyError) as error:
        raise ModelError("the adapter cannot be merged into the base", [Problem(str(error), str(adapter))]) from error
    emit({"event": "progress", "what": "writing"})
    merged.to(getattr(torch, request["dtype"]))
    merged.save_pretrained(target)
    merged.float()
    data = {"ids": ids, "base_logprobs": base_logprobs, "merged_logprobs": logprobs(merged, ids)}
    (target / CANARY).write_text(json.dumps(data), encoding="utf-8")
    return {}


def logprobs(model: Any, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
    """Return for each sequence the logprob of each token given those before it."""
    import torch

    result = []
    model.eval()
    with torch.no_grad():
        for sequence in sequences:
            ids = torch.tensor([sequence])
            table = model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
            result.append(table.gather(1, ids[0, 1:, None])[:, 0].tolist())
    return result


if __name__ == "__main__":
    job_main(merge)
