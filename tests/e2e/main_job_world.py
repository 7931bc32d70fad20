"""A user's project over the real small model, and the commands a user starts in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from harness.store import Home
from harness.store.locks import is_locked
from harness.types import Base

CAPITALS = {
    "France": "Paris",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Japan": "Tokyo",
    "Peru": "Lima",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Cuba": "Havana",
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 10}},
    "required": ["city"],
    "additionalProperties": False,
}
STEPS = 6
YAML = """\
base_model: {base}
datasets:
  - path: train.jsonl
    type: chat_template
lora_r: 8
sequence_len: 128
micro_batch_size: 8
max_steps: {steps}
learning_rate: 4e-3
lr_scheduler: constant
seed: 7
decode:
  max_tokens: 32
"""
QLORA = "adapter: qlora\nload_in_4bit: true\noutput_dir: ./out\n"
INT8 = "adapter: lora\nload_in_8bit: true\nserve:\n  engine: transformers\n"
SUITE = f"""\
import pytest
from harness.checks import is_json

pytestmark = [pytest.mark.cases("cases.jsonl"), pytest.mark.grammar(json={SCHEMA!r}), pytest.mark.level1]


def test_is_json(generation):
    assert is_json(generation)


def test_city(case, generation):
    assert generation.json == case.expected
"""
CONFTEST = """\
import json
import os
import sys
from pathlib import Path


def pytest_unconfigure():
    loaded = sorted({name.partition(".")[0] for name in sys.modules})
    Path(__file__).with_name(f"modules-{os.getpid()}.json").write_text(json.dumps(loaded))
"""
MARK = "MAIN_JOB_COMMAND"
"""Variable by which what a command has started is known, orphans included."""
SECONDS = 600
"""After so long something hangs; nothing here is meant to take as long."""


@dataclass(frozen=True)
class Ended:
    """A pytest session that has ended: what it printed, wrote and loaded."""

    code: int
    output: str
    runs: list[Path]
    """The report folders it made, oldest first: the session's own is the last."""
    commands: frozenset[str]
    """The command lines of all processes it started, as far as they were seen."""
    modules: frozenset[str]
    """Top-level modules loaded in any pytest process of it."""

    @property
    def manifest(self) -> dict[str, Any]:
        return self.manifest_of(-1)

    def manifest_of(self, run: int) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.runs[run] / "manifest.json").read_text(encoding="utf-8"))
        return manifest

    def rows(self, name: str, run: int = -1) -> list[dict[str, Any]]:
        lines = (self.runs[run] / name).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def outcomes(self, run: int = -1) -> dict[str, str]:
        """Outcome by item, such as ``test_city[France]``."""
        rows = self.rows("results.jsonl", run)
        return {row["nodeid"].rpartition("::")[2]: row["outcome"] for row in rows}

    def passed(self, test: str, run: int = -1) -> int:
        found = self.outcomes(run).items()
        return sum(outcome == "pass" for name, outcome in found if name.startswith(f"{test}["))

    def started(self, what: str) -> bool:
        """Whether a process whose command line holds ``what`` was seen."""
        return any(what in command for command in self.commands)


class Command:
    """Something a user has started. Every process that comes of it is noted while we wait."""

    def __init__(self, argv: list[str], cwd: Path, env: Mapping[str, str], output: Path) -> None:
        self._output = output
        env = {**env, MARK: str(output)}
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                argv, cwd=cwd, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._root = psutil.Process(self.process.pid)
        self._family: set[psutil.Process] = set()
        self.commands: set[str] = set()

    @property
    def text(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def _look(self) -> None:
        try:
            self._family.update(self._root.children(recursive=True))
            for process in self._family:
                if process.is_running():
                    self.commands.add(" ".join(process.cmdline()))
        except psutil.Error:  # one of them ended while we looked
            return

    def wait_until(self, what: Callable[[], bool]) -> None:
        """Wait until ``what`` holds; the command must not end before."""
        deadline = time.monotonic() + SECONDS
        while not what():
            self._look()
            assert self.process.poll() is None, f"it ended before it came to that:\n{self.text}"
            assert time.monotonic() < deadline, f"it never came to that:\n{self.text}"
            time.sleep(0.02)
        self._look()

    def says(self, text: str) -> Callable[[], bool]:
        return lambda: text in self.text

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        deadline = time.monotonic() + SECONDS
        while (code := self.process.poll()) is None:
            self._look()
            assert time.monotonic() < deadline, f"it does not end:\n{self.text}"
            time.sleep(0.05)
        return code

    def interrupt(self) -> None:
        """Do what a terminal does on Ctrl-C: its whole foreground group gets SIGINT."""
        os.killpg(self.process.pid, signal.SIGINT)

    def left(self, seconds: float = 10) -> list[str]:
        """Return the processes that are still there, given the time that ending takes."""
        deadline = time.monotonic() + seconds
        self._family.update(process for process in psutil.process_iter() if self._marked(process))
        while alive := [process for process in self._family if _lives(process)]:
            if time.monotonic() > deadline:
                return [str(process) for process in alive]
            time.sleep(0.1)
        return []

    def _marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == str(self._output)
        except psutil.Error:  # it has just ended, or is somebody else's
            return False

    def destroy(self) -> None:
        """End it and all that came of it, however the test ended."""
        self._look()
        for process in (self._root, *self._family):
            if _lives(process):
                process.kill()
        self.process.wait()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class World:
    """A project folder with a suite, its cases, training rows and two configs; its home is its own."""

    def __init__(self, folder: Path, base: Base) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.home.create()
        self.home.models.symlink_to(base.path.parent)  # unpacked once for all tests
        self._commands: list[Command] = []
        self._write("pytest.ini", "[pytest]\naddopts = --strict-markers\n")
        self._write("conftest.py", CONFTEST)
        self._write("qlora.yml", YAML.format(base=base.ref, steps=STEPS) + QLORA)
        self._write("int8.yml", YAML.format(base=base.ref, steps=STEPS) + INT8)
        rows = [(country, f"Capital of {country}?", json.dumps({"city": city})) for country, city in CAPITALS.items()]
        self._write_rows("train.jsonl", [{"messages": [turn("user", q), turn("assistant", a)]} for _, q, a in rows])
        cases = [{"id": name, "messages": [turn("user", q)], "expected": json.loads(a)} for name, q, a in rows]
        self._write("suite/test_capitals.py", SUITE)
        self._write_rows("suite/cases.jsonl", cases)

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text, encoding="utf-8")

    def _write_rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        self._write(name, "".join(json.dumps(row) + "\n" for row in rows))

    @cached_property
    def _env(self) -> dict[str, str]:
        ours = {"HARNESS_HOME": str(self.home.root), "PYTHONUNBUFFERED": "1"}
        return {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"} | ours

    def start(self, *argv: str, **env: str) -> Command:
        """Start a program of this environment in the project."""
        output = self.folder / f"output-{len(self._commands)}.txt"
        command = Command(
            [str(Path(sys.executable).with_name(argv[0])), *argv[1:]], self.folder, {**self._env, **env}, output
        )
        self._commands.append(command)
        return command

    def pytest(self, *args: str, **env: str) -> Command:
        return self.start("pytest", "suite", *args, **env)

    def run(self, *args: str, **env: str) -> Ended:
        """Run pytest to its end; it must leave no process and no lock behind."""
        before = set(self.runs)
        for file in self.folder.glob("modules-*.json"):
            file.unlink()
        command = self.pytest(*args, **env)
        code = command.wait()
        assert command.left() == []
        assert self.locked == []
        loaded = [json.loads(file.read_text(encoding="utf-8")) for file in self.folder.glob("modules-*.json")]
        modules = frozenset(name for names in loaded for name in names)
        runs = [run for run in self.runs if run not in before]
        return Ended(code, command.text, runs, frozenset(command.commands), modules)

    @property
    def runs(self) -> list[Path]:
        return sorted((self.folder / "reports").glob("*"))

    @property
    def locked(self) -> list[Path]:
        """The locks of the home that somebody holds right now."""
        return [path for path in self.home.root.rglob("*.lock") if is_locked(path)]

    @property
    def adapters(self) -> list[Path]:
        """What lies in the cache of adapters, a half one included."""
        return [path for path in self.home.adapters.rglob("*") if path.name == "adapter_model.safetensors"]

    def stored_replies(self) -> dict[int, str]:
        """Return the rows of replies in the run store, by their number."""
        database = sqlite3.connect(f"file:{self.home.runs_db}?mode=ro", uri=True)
        try:
            return dict(database.execute("SELECT id, body FROM generations"))
        finally:
            database.close()

    def close(self) -> None:
        for command in self._commands:
            command.destroy()
        shutil.rmtree(self.home.root, ignore_errors=True)  # merged models are large


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
