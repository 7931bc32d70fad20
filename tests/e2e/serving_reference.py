"""Child process: an adapter with random weights, and what plain transformers and peft make of it.

An independent reference for the engines: one prompt at a time, no batching, no padding, float32.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, GenerationConfig


def main(base: str, out: str) -> None:
    request = json.loads(Path(out, "request.json").read_text(encoding="utf-8"))
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.generation_config = GenerationConfig()
    config = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    peft = get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                parameter.mul_(0.2)  # a random adapter at full size makes noise of every reply
    peft.save_pretrained(out)
    canary = {"ids": request["prompts"]}
    Path(out, "canary.json").write_text(json.dumps(canary), encoding="utf-8")

    def generate(ids: list[int], **options: object) -> list[int]:
        config = GenerationConfig(
            max_new_tokens=16, do_sample=False, eos_token_id=request["stop"], pad_token_id=request["stop"], **options
        )
        tensor = torch.tensor([ids])
        written = peft.generate(input_ids=tensor, attention_mask=torch.ones_like(tensor), generation_config=config)
        return written[0, len(ids) :].tolist()

    def score(ids: list[int]) -> list[float]:
        tensor = torch.tensor([ids])
        table = peft(input_ids=tensor).logits[0, :-1].double().log_softmax(-1)
        return table.gather(1, tensor[0, 1:, None])[:, 0].tolist()

    with torch.no_grad():
        result = {
            "greedy": [generate(ids) for ids in request["prompts"]],
            "beams": [generate(ids, num_beams=3) for ids in request["prompts"][:2]],
            "penalised": generate(request["prompts"][0], repetition_penalty=1.5),
            "adapter_scores": [score(ids) for ids in request["prompts"]],
        }
        with peft.disable_adapter():
            result["base_scores"] = [score(ids) for ids in request["prompts"]]
            result["base_greedy"] = [generate(ids) for ids in request["prompts"]]
    Path(out, "reference.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
