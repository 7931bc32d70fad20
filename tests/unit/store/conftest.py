from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.store import Home


class Other:
    """Another Python process that runs a piece of code."""

    def __init__(self, code: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid

    def line(self) -> str:
        """Wait for the next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the process ended without a word: {self.process.communicate()[1]}")
        return line.strip()

    def tell(self) -> None:
        """Let it go on from where it reads a line."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def finish(self) -> str:
        """Wait for its end and return what it still had to say."""
        output, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return output


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def start() -> Iterator[Callable[..., Other]]:
    """Start other processes; what still runs in the end is killed."""
    started: list[Other] = []

    def run(code: str, *arguments: object) -> Other:
        started.append(Other(code, *arguments))
        return started[-1]

    yield run
    for other in started:
        other.process.kill()
        other.process.communicate()


@pytest.fixture
def mounted() -> Callable[..., str]:
    """Run a piece of code in a mount namespace of its own, which leaves nothing mounted, and return what it prints."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    isolate = ["unshare", "--mount", "--map-root-user", "sh", "-c"]

    def run(mount: str, code: str, *arguments: object) -> str:
        if subprocess.run([*isolate, mount], capture_output=True).returncode != 0:
            pytest.skip("this user may not mount")
        command = [*isolate, f'{mount} && exec "$@"', "sh", sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
