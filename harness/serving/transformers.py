"""transformers' batched generate, as a server in a child process."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.serving.local import LocalEngine
from harness.serving.server import Address, ChatFormat, Command
from harness.serving.transformers_server.job import KEY_VARIABLE, ServerJob
from harness.types import Request

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    # llguidance's mask kernel would be compiled, which needs a C++ compiler and longer than it saves
    "TORCHDYNAMO_DISABLE": "1",
}


class TransformersEngine(LocalEngine):
    """A base with its adapter applied unmerged (or merged), on a GPU, MPS or CPU."""

    @property
    def name(self) -> str:
        """See :class:`harness.protocols.Engine`."""
        return "transformers"

    def command(self, address: Address, model: Path, chat: ChatFormat | None) -> Command:
        """Return argv and environment of our own server."""
        job = self.job(address, model, chat)
        argv = [sys.executable, "-m", "harness.serving.transformers_server", job.dump()]
        return argv, ENVIRONMENT | ({KEY_VARIABLE: address.key} if address.key else {})

    def job(self, address: Address, model: Path, chat: ChatFormat | None) -> ServerJob:
        """Return what the server is told."""
        lora = self.plan.mode == "lora" and self.adapter is not None
        return ServerJob(
            model=str(model),
            adapter=str(self.adapter.path) if lora and self.adapter else None,
            model_name=self.model,
            base_name=self.base_model if lora else None,
            device=self.plan.device,
            dtype=self.plan.dtype,
            max_model_len=self.plan.max_model_len,
            batch_size=self.plan.concurrency,
            socket=str(address.socket) if address.socket else None,
            port=address.port,
            template=chat.template if chat else None,
        )

    def refusal(self, request: Request) -> str | None:
        """Beams are reordered at every step, which no grammar of ours follows."""
        if request.decoding.beams > 1 and (request.grammar is not None or request.decoding.stop):
            return "beam search takes no grammar and no stop strings, on no engine; use decode.beams: 1"
        return None
