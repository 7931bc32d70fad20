"""What must be there before anything is downloaded: said all at once, with what to do about it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

GIB = 1024**3
DISK_GIB = {"cpu": 8, "gpu": 20}
"""Room for the environment, the downloads on their way into it, one converted model and a few adapters."""
TEMPORARY_GIB = 2
MACHINES = ("x86_64", "aarch64")


def detect_extra() -> str:
    """Return the extra that fits this machine: ``gpu`` where an NVIDIA driver answers, else ``cpu``."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "cpu"
    answer = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
    return "gpu" if answer.returncode == 0 and "GPU " in answer.stdout else "cpu"


def missing(root: Path, venv: Path, extra: str) -> list[str]:
    """Return everything that would make the set-up fail later, one sentence or two each."""
    found = [
        platform_problem(platform.system(), platform.machine()),
        module_problem("ensurepip"),
        library_problem("libnuma.so.1", "libnuma1") if extra == "cpu" else "",
        disk_problem(shutil.disk_usage(root).free + folder_size(venv), DISK_GIB[extra] * GIB, root),
        disk_problem(shutil.disk_usage(tempfile.gettempdir()).free, TEMPORARY_GIB * GIB, Path(tempfile.gettempdir())),
    ]
    return [problem for problem in found if problem]


def platform_problem(system: str, machine: str) -> str:
    """Say so if there are no packages of vLLM for this platform."""
    if system == "Linux" and machine in MACHINES:
        return ""
    return f"This is {system} on {machine}; the packages exist for Linux on {' and '.join(MACHINES)}."


def module_problem(name: str) -> str:
    """Say so if Python lacks the module that puts pip into a new environment (Debian ships it apart)."""
    if importlib.util.find_spec(name) is not None:
        return ""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    return f"This Python cannot make environments ({name} is missing). Debian: apt-get install {package}"


def library_problem(library: str, package: str) -> str:
    """Say so if a shared library that vLLM links against is missing."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return f"The library {library} is missing; vLLM needs it. Debian: apt-get install {package}"
    return ""


def disk_problem(free: int, needed: int, where: Path) -> str:
    """Say so if fewer than ``needed`` bytes are free."""
    if free >= needed:
        return ""
    advice = "free some, or set TMPDIR to a larger disk" if where == Path(tempfile.gettempdir()) else "free some"
    return f"{where} has {free / GIB:.1f} GiB free, {needed / GIB:.0f} GiB are needed: {advice}."


def folder_size(folder: Path) -> int:
    """Return the bytes that the files below ``folder`` take; 0 if it does not exist."""
    total = 0
    for parent, _, names in os.walk(folder):
        total += sum((Path(parent) / name).lstat().st_size for name in names)
    return total
