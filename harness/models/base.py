"""Base models: whatever the user names, an ordinary safetensors folder comes out."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ModelError, Problem
from harness.models.headers import read_header
from harness.process.job import JobFailure, run_job
from harness.protocols import OnEvent
from harness.store import FolderCache, Home, digest, file_digest, folder_digest
from harness.types import Base

CONVERTER_VERSION = 1
"""Raised when the conversion changes what it writes, so that old conversions are not found."""
BYTES_PER_GGUF_BYTE = 4
"""Four-bit weights grow about so much when unpacked to bfloat16."""

WEIGHT_FILES = ("*.safetensors", "config.json")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "additional_chat_templates/*",
)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def resolve_base(ref: str, home: Home, *, revision: str | None = None, on_event: OnEvent | None = None) -> Base:
    """Return the base model that ``ref`` names, ready to be loaded.

    Args:
        ref: a folder, a ``.gguf`` file, ``package://package/file``, or a hub id (looked up in the local
            hub cache first, then on the hub unless ``HF_HUB_OFFLINE`` is set).
        home: receives the conversion of a GGUF file, which is made once.
        revision: commit, tag or branch of a hub id.
        on_event: receives progress.

    Raises:
        ModelError: there is no such model, or it cannot be used; every problem is named.
    """
    report = on_event or _silent
    path = _local_path(ref)
    if path is None:
        path = _from_hub(ref, revision, home, report)
    if path.is_dir():
        return _folder(ref, path, home)
    return _converted(ref, path, home, report)


def _silent(event: Mapping[str, Any]) -> None:
    del event


def _local_path(ref: str) -> Path | None:
    """Return the file or folder that ``ref`` names; None: it is a hub id.

    Raises:
        ModelError: it looks like a path, and nothing is there.
    """
    if ref.startswith("package://"):
        from harness.config import package_file

        return package_file(ref)
    path = Path(ref).expanduser()
    if path.exists():
        return path.absolute()
    if _HUB_ID.fullmatch(ref) and not ref.endswith((".gguf", ".safetensors", ".bin")):
        return None
    raise ModelError(
        "the base model is not there",
        [Problem(f"no file or folder {path.absolute()}", file=ref)],
        "base_model takes a model folder, a .gguf file, package://<package>/<file>, or a hub id (owner/name).",
    )


def _folder(ref: str, path: Path, home: Home) -> Base:
    if problems := folder_problems(path):
        raise ModelError(f"the base model {ref} cannot be used", problems)
    return Base(
        path=path,
        ref=ref,
        content_hash=folder_digest(path, WEIGHT_FILES, home),
        tokenizer_hash=folder_digest(path, TOKENIZER_FILES, home),
    )


def folder_problems(path: Path) -> list[Problem]:
    """Return everything that keeps ``path`` from being a base model."""
    folder = str(path)
    if (path / "adapter_config.json").is_file() and not (path / "config.json").is_file():
        advice = "this is an adapter, not a base model: give it as --adapter, or as lora_model_dir to train it further"
        return [Problem(advice, file=folder)]
    problems = [*_config_problems(path / "config.json"), *_weight_problems(path)]
    if not (path / "tokenizer.json").is_file():
        how = "make one with transformers: AutoTokenizer.from_pretrained(<folder>).save_pretrained(<folder>)"
        problems.append(
            Problem(f"no tokenizer: tokenizer.json is missing. Copy it from the model's source, or {how}", folder)
        )
    return problems


def _config_problems(path: Path) -> list[Problem]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [Problem("no model config: config.json is missing", str(path.parent))]
    except (OSError, ValueError) as error:
        return [Problem(f"the model config cannot be read: {error}", str(path))]
    return [] if isinstance(config, dict) else [Problem("the model config is not a JSON object", str(path))]


def _weight_problems(path: Path) -> list[Problem]:
    files = sorted(path.glob("*.safetensors"))
    if not files:
        pickles = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in path.glob(pattern))
        if pickles:
            how = "which can run code when loaded. Load it with transformers and save_pretrained() it as safetensors"
            return [Problem(f"the weights are a pickle ({', '.join(pickles)}), {how}", str(path))]
        return [Problem("no weights: there is no .safetensors file", str(path))]
    problems = []
    for file in files:
        try:
            read_header(file)
        except (ValueError, OSError) as error:
            problems.append(Problem(str(error), str(file)))
    return [*problems, *_missing_shards(path / "model.safetensors.index.json", {file.name for file in files})]


def _missing_shards(index: Path, files: set[str]) -> list[Problem]:
    if not index.is_file():
        return []
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [Problem(f"the index of the weights cannot be read: {error}", str(index))]
    return [Problem(f"{name} is named in the index and missing", str(index)) for name in sorted(shards - files)]


def _converted(ref: str, source: Path, home: Home, report: OnEvent) -> Base:
    """Return the folder that a GGUF file was, or now is, unpacked into."""
    with source.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        hint = "base_model takes a model folder, a .gguf file, package://<package>/<file>, or a hub id."
        raise ModelError("the base model cannot be used", [Problem("not a GGUF file", str(source))], hint)
    content = digest({"gguf": file_digest(source, home), "converter": CONVERTER_VERSION})

    def build(folder: Path) -> None:
        report({"event": "convert", "base": ref})
        child_work(
            "harness.models.convert_child",
            {"source": str(source), "target": str(folder)},
            "unpacking the GGUF base",
            report,
        )

    cache = FolderCache(home, "models", on_warning=lambda text: report({"event": "warning", "message": text}))
    size = source.stat().st_size
    path = cache.get_or_build(content, f"base model {ref}", build, info={"ref": ref}, needed=size * BYTES_PER_GGUF_BYTE)
    return Base(path, ref, content, folder_digest(path, TOKENIZER_FILES, home))


def _from_hub(ref: str, revision: str | None, home: Home, report: OnEvent) -> Path:
    del home
    result = child_work("harness.models.hub_child", {"id": ref, "revision": revision}, f"looking up {ref}", report)
    return Path(result["path"])


def child_work(module: str, request: Mapping[str, Any], name: str, report: OnEvent) -> Mapping[str, Any]:
    """Let ``python -m module`` do ``request`` and return its result.

    Raises:
        ModelError: it could not; carries the child's own words.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        result = run_job([sys.executable, "-m", module], request, name=name, folder=Path(folder), on_event=report)
    if isinstance(result, JobFailure):
        tail = [] if result.kind == "input" else [Problem(line) for line in result.tail]
        raise ModelError(result.message, tail)
    return result
