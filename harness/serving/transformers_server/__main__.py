"""``python -m harness.serving.transformers_server JOB``: load, bind, answer until killed."""

from __future__ import annotations

import os
import sys

from harness.serving.transformers_server.batcher import Batcher
from harness.serving.transformers_server.http import CompletionsServer
from harness.serving.transformers_server.job import KEY_VARIABLE, ServerJob


def main(argv: list[str]) -> None:
    """Serve the job that the first argument describes."""
    job = ServerJob.load(argv[0])
    _say(f"loading {job.model}" + (f" with adapter {job.adapter}" if job.adapter else ""))
    from harness.serving.transformers_server.model import ServedModel

    model = ServedModel(job)
    server = CompletionsServer(job, Batcher(model.answer, job.batch_size), os.environ.get(KEY_VARIABLE))
    _say(f"listening for {', '.join(server.names)}")
    server.serve_forever()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
