"""vLLM, as a server in a child process."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from harness.errors import EngineError
from harness.serving.local import LocalEngine
from harness.serving.plan import LORA_RANKS, adapter_shape
from harness.serving.server import Address, ChatFormat, Command
from harness.types import Adapter, Request

RESERVED = "VLLM_CPU_NUM_OF_RESERVED_CPU"


class VllmEngine(LocalEngine):
    """A base with its adapter as LoRA beside it, or merged into it."""

    @property
    def name(self) -> str:
        """See :class:`harness.protocols.Engine`."""
        return "vllm"

    def command(self, address: Address, model: Path, chat: ChatFormat | None) -> Command:
        """Return argv and environment of vLLM's own server."""
        argv = [*self.arguments(model), "--disable-uvicorn-access-log", "--uvicorn-log-level", "warning"]
        env = self.environment()
        if address.socket is not None:
            return [*argv, "--uds", str(address.socket)], env
        argv += ["--host", "127.0.0.1", "--port", str(address.port)]
        if chat is not None and self.server.folder is not None:
            argv += _chat_arguments(chat, self.server.folder)
        return argv, env | ({"VLLM_API_KEY": address.key} if address.key else {})

    def arguments(self, model: Path) -> list[str]:
        """Return the argv without the address."""
        plan = self.plan
        name = self.base_model if plan.mode == "lora" else self.model
        options: dict[str, str] = {
            "--model": str(model),
            "--served-model-name": name,
            "--dtype": plan.dtype,
            "--max-model-len": str(plan.max_model_len),
            "--max-num-seqs": str(plan.concurrency),
            "--seed": "0",
            # a model's own generation_config.json would slip a repetition penalty into greedy decoding
            "--generation-config": "vllm",
            # "auto" would latch to whichever backend the first request happens to need
            "--structured-outputs-config": json.dumps({"backend": "guidance"}),
            "--tensor-parallel-size": str(plan.tensor_parallel),
        }
        if plan.kv_cache_bytes is not None:
            options["--kv-cache-memory-bytes"] = str(plan.kv_cache_bytes)
        if plan.gpu_memory_utilization is not None and plan.device == "cuda":
            options["--gpu-memory-utilization"] = str(plan.gpu_memory_utilization)
        flags = ["--enforce-eager"] if plan.eager else []
        argv = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
        return [*argv, *(part for option in options.items() for part in option), *flags, *self._lora_arguments()]

    def environment(self) -> dict[str, str]:
        """Return what the server's environment differs in."""
        return {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "NO_COLOR": "1",
            # the server must not close idle connections that the client is about to use again
            "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "3600",
            "VLLM_RPC_BASE_PATH": str(self.server.folder) if self.server.folder else "/tmp",
        } | self._cores()

    def _cores(self) -> dict[str, str]:
        """On a CPU let the model compute on every core; vLLM keeps one for the server unless told otherwise."""
        return {RESERVED: os.environ.get(RESERVED, "0")} if self.plan.device == "cpu" else {}

    def refusal(self, request: Request) -> str | None:
        """Beam search here knows neither grammars nor other stops than the tokenizer's own."""
        if request.decoding.beams > 1:
            return (
                "the vllm engine cannot do beam search that stops on the template's own stop tokens; "
                "serve.engine: transformers can"
            )
        return None

    def _lora_arguments(self) -> list[str]:
        if self.plan.mode != "lora" or self.adapter is None:
            return []
        module = json.dumps({"name": self.model, "path": str(self.adapter.path), "base_model_name": self.base_model})
        return ["--enable-lora", "--max-lora-rank", str(lora_rank(self.adapter)), "--lora-modules", module]


def _chat_arguments(chat: ChatFormat, folder: Path) -> list[str]:
    """Write the template, and a generation config that holds its stops and nothing else."""
    template = folder / "template.jinja"
    template.write_text(chat.template, encoding="utf-8")
    config = {"eos_token_id": list(chat.stop_ids)}
    (folder / "generation_config.json").write_text(json.dumps(config), encoding="utf-8")
    return ["--chat-template", str(template), "--generation-config", str(folder)]


def lora_rank(adapter: Adapter) -> int:
    """Return the smallest rank that vLLM allows and that holds the adapter.

    Raises:
        EngineError: its rank is higher than vLLM can serve unmerged.
    """
    rank, _ = adapter_shape(adapter)
    for allowed in LORA_RANKS:
        if rank <= allowed:
            return allowed
    raise EngineError(
        f"{adapter.path / 'adapter_config.json'}: rank {rank} is more than vLLM serves as LoRA ({LORA_RANKS[-1]}).\n"
        "  To do: serve.adapter: merged."
    )
