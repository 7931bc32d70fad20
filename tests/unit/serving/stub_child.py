"""The transformers engine's server with a stub in the model's place: it repeats the prompt's last ids."""

from __future__ import annotations

import os
import sys
import time

from harness.serving.transformers_server.ask import Answer
from harness.serving.transformers_server.batcher import Batcher
from harness.serving.transformers_server.http import CompletionsServer
from harness.serving.transformers_server.job import ServerJob

job = ServerJob.load(sys.argv[1])
behaviour = sys.argv[2]
answered = 0


def answer(batch):
    global answered
    if behaviour == "die while answering" and answered >= 4:
        print("RuntimeError: std::bad_alloc", flush=True)
        os._exit(134)
    if behaviour == "hang":
        time.sleep(3600)
    if behaviour == "fail":
        raise RuntimeError("the stub fails")
    answered += len(batch)
    answers = []
    for ask in batch:
        offset = 0.5 if ask.model == job.model_name and job.base_name else 0.0
        text = "Zq" + "X" * 4 + "7Zq" if ask.grammar and behaviour != "ignore grammar" else f"ids {ask.prompt_ids}"
        logprobs = [-offset - token / 1000 for token in ask.prompt_ids[1:]] if ask.score else None
        if ask.pieces is not None:
            for piece in (text[:3], text[3:]):
                ask.pieces.put(piece)
        answers.append(Answer(text, ask.prompt_ids[: ask.max_tokens], "stop", logprobs))
    return answers


if behaviour == "die at the start":
    print("loading")
    print("RuntimeError: [enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
    sys.exit(3)
if behaviour == "never ready":
    time.sleep(3600)
server = CompletionsServer(job, Batcher(answer, job.batch_size), os.environ.get("HARNESS_SERVE_KEY"))
server.serve_forever(0.02)
