import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "job"))

from hand_world import World

from harness.cli import main


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def told(self):
        """What was written to stderr, however its box was wrapped."""
        return " ".join(self.err.replace("│", " ").split())


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A user's folder, which is also where they are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_HOME", raising=False)
    return World(tmp_path)


@pytest.fixture
def harness(monkeypatch, capsys):
    """Run the command as typed; returns exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run
