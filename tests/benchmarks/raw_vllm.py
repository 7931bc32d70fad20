"""The peer of ``bench_generation.py``: the bare vLLM engine, offline, one batch at a time.

Reads one JSON line a batch on stdin (``{"prompts": [[ids…], …], "max_tokens": n, "stop": [ids]}``),
answers with one JSON line (``{"seconds": s, "tokens": n}``).
"""

import json
import sys
import time


def main() -> None:
    settings = json.loads(sys.argv[1])
    from vllm import LLM, SamplingParams

    llm = LLM(
        model=settings["model"],
        dtype=settings["dtype"],
        enforce_eager=True,
        seed=0,
        max_model_len=settings["max_model_len"],
        max_num_seqs=settings["concurrency"],
        kv_cache_memory_bytes=settings["kv_cache_bytes"],
        generation_config="vllm",
        disable_log_stats=True,
    )
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        batch = json.loads(line)
        sampling = SamplingParams(
            temperature=0.0, max_tokens=batch["max_tokens"], stop_token_ids=batch["stop"], seed=0, detokenize=True
        )
        prompts = [{"prompt_token_ids": ids} for ids in batch["prompts"]]
        started = time.perf_counter()
        outputs = llm.generate(prompts, sampling, use_tqdm=False)
        seconds = time.perf_counter() - started
        tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
        print(json.dumps({"seconds": seconds, "tokens": tokens}), flush=True)


if __name__ == "__main__":
    main()
