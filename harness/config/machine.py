"""What this machine has, found out without importing anything heavy."""

import importlib.util
import os
from pathlib import Path


def has_cuda() -> bool:
    """Return whether a CUDA GPU is there and may be used."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists()


def installed(package: str) -> bool:
    """Return whether ``package`` (an import name) is installed, without importing it."""
    return importlib.util.find_spec(package) is not None
