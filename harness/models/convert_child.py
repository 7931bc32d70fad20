"""Child process: unpacks a GGUF file into an ordinary safetensors folder, once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ModelError, Problem
from harness.process.job import Emit, job_main


def convert(request: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Write model and tokenizer of ``request["source"]`` to ``request["target"]`` in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source, target = Path(request["source"]), Path(request["target"])
    place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**place)
        model = AutoModelForCausalLM.from_pretrained(
            **place, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
        )
    except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        problem = Problem(f"{type(error).__name__}: {error}", file=str(source))
        hint = "Take the model's safetensors folder, or a GGUF file of an architecture that transformers can read."
        raise ModelError("the GGUF file cannot be converted", [problem], hint) from error
    emit({"event": "progress", "what": "writing", "parameters": model.num_parameters()})
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return {"parameters": model.num_parameters()}


if __name__ == "__main__":
    job_main(convert)
