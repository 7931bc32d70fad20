"""Adapters on disk: our own and those made elsewhere, checked before anything heavy starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import ModelError, Problem
from harness.models.headers import TensorInfo, read_folder, read_header
from harness.store import Home, digest, file_digest
from harness.types import Adapter, Base

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
HARNESS_FILE = "harness.json"
"""Written beside an adapter that we trained: the :class:`Adapter` and the figures of its training."""
CANARY = "canary.json"
"""Token ids on which base and adapter must differ."""

MERGE = "merge it into its base with peft (merge_and_unload) and give the result as base_model"
UNSUPPORTED: Mapping[str, str] = {
    "use_dora": f"DoRA is not served by vLLM: {MERGE}",
    "lora_bias": f"lora_bias is not served by vLLM: {MERGE}",
    "alora_invocation_tokens": "an activated LoRA depends on the place in the prompt, which is not supported",
    "trainable_token_indices": f"trained token embeddings are not served by vLLM: {MERGE}",
}
INITS_THAT_CHANGE_THE_BASE = ("pissa", "olora", "loftq", "corda", "eva")
_PREFIX = "base_model.model."


def read_adapter(path: Path, base: Base | None, home: Home) -> Adapter:
    """Return the adapter in ``path`` (peft's layout); with a ``base``, check that the two belong together.

    Raises:
        ModelError: there is none, it is damaged, of an unsupported kind, or made for another base; every
            problem is named.
    """
    if problems := _missing_files(path):
        raise ModelError(f"{path} is not an adapter that can be used", problems)
    try:
        config = _json_object(path / ADAPTER_CONFIG)
        own = _json_object(path / HARNESS_FILE) if (path / HARNESS_FILE).is_file() else {}
        tensors = read_header(path / ADAPTER_WEIGHTS)
        adapter = _describe(path, config, own.get("adapter"), home)
    except (ValueError, OSError) as error:
        raise ModelError(f"the adapter {path} is damaged", [Problem(str(error), str(path))]) from error
    problems = [*_unsupported(path, config, tensors), *(_mismatches(adapter, base, config, tensors) if base else [])]
    if problems:
        raise ModelError(f"the adapter {path} cannot be used", problems)
    return replace(adapter, base_hash=base.content_hash) if base else adapter


def adapter_hash(path: Path, home: Home | None = None) -> str:
    """Return the content hash of an adapter folder: its weights, and its config without the base's name."""
    config = _json_object(path / ADAPTER_CONFIG)
    config.pop("base_model_name_or_path", None)
    return digest({"weights": file_digest(path / ADAPTER_WEIGHTS, home), "config": config})


def _missing_files(path: Path) -> list[Problem]:
    if not path.is_dir():
        return [Problem("there is no such folder", str(path))]
    problems = []
    if not (path / ADAPTER_CONFIG).is_file():
        problems.append(Problem(f"{ADAPTER_CONFIG} is missing: an adapter is a folder as peft saves it", str(path)))
    if not (path / ADAPTER_WEIGHTS).is_file():
        pickled = (path / "adapter_model.bin").is_file()
        how = "; adapter_model.bin is a pickle, which can run code: load it with peft and save_pretrained() it again"
        problems.append(Problem(f"{ADAPTER_WEIGHTS} is missing{how if pickled else ''}", str(path)))
    return problems


def _json_object(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return data


def _describe(path: Path, config: Mapping[str, Any], own: Mapping[str, Any] | None, home: Home) -> Adapter:
    found = adapter_hash(path, home)
    if own:
        try:
            return replace(Adapter.from_json(own), path=path, content_hash=found)
        except (TypeError, KeyError) as error:
            raise ValueError(f"{HARNESS_FILE} does not describe an adapter: {error}") from None
    return Adapter(
        path=path,
        base_ref=str(config.get("base_model_name_or_path") or ""),
        base_hash="",
        kind="lora",
        content_hash=found,
        config_hash="",
        data_hash="",
    )


def _unsupported(path: Path, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> list[Problem]:
    where = str(path / ADAPTER_CONFIG)
    kind = config.get("peft_type")
    if kind != "LORA":
        return [Problem(f"peft_type is {kind!r}, only LORA is supported", where)]
    problems = [Problem(why, where) for key, why in UNSUPPORTED.items() if config.get(key)]
    init = str(config.get("init_lora_weights") or "").lower()
    if init.startswith(INITS_THAT_CHANGE_THE_BASE):
        how = "save it with peft's path_initial_model_for_weight_conversion to make it an ordinary LoRA"
        problems.append(Problem(f"init_lora_weights={init!r} changes the base model: {how}", where))
    if not any("lora_" in name for name in tensors):
        problems.append(Problem("the weights hold no LoRA matrices", str(path / ADAPTER_WEIGHTS)))
    return problems


def _mismatches(
    adapter: Adapter, base: Base, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> list[Problem]:
    """Return what shows that the adapter was made for another base."""
    if adapter.base_hash and adapter.base_hash != base.content_hash:
        message = f"it was trained on {adapter.base_ref} ({adapter.base_hash[:12]}), the base is {base.ref}"
        return [Problem(f"{message} ({base.content_hash[:12]})", str(adapter.path))]
    weights = read_folder(base.path)
    transposed = bool(config.get("fan_in_fan_out"))
    wrong = []
    for name, info in tensors.items():
        module, _, matrix = name.removeprefix(_PREFIX).rpartition(".lora_")
        if not module or not matrix.startswith(("A.", "B.")):
            continue
        target = weights.get(f"{module}.weight")
        if target is None:
            wrong.append(f"{module}: not in the base")
            continue
        rows, columns = reversed(target.shape) if transposed else target.shape
        expected, found = (columns, info.shape[1]) if matrix.startswith("A.") else (rows, info.shape[0])
        if expected != found:
            wrong.append(f"{module}: made for size {found}, the base has {expected}")
    wrong = list(dict.fromkeys(wrong))  # both matrices of a module may say the same
    if not wrong:
        return []
    shown = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    named = f", it names {adapter.base_ref}" if adapter.base_ref else ""
    return [Problem(f"it was made for another base than {base.ref}{named}: {shown}", str(adapter.path))]
