"""What all commands have in common."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("init", "preprocess", "train", "serve", "chat", "merge", "cache", "runs")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_an_example(harness, command):
    done = harness(command, "--help")
    assert done.code == 0
    examples = [line for line in done.out.splitlines() if line.strip().startswith("harness ") or "harness " in line]
    assert any(f"harness {command} " in line.split("Usage:")[-1] for line in examples if "Usage:" not in line)


def test_help_names_the_main_job_and_every_command(harness):
    shown = harness("--help").out
    assert "pytest suites/ --train-config" in shown
    assert all(f"│ {command} " in shown for command in COMMANDS)


def test_no_command_shows_the_help(harness):
    assert "Usage: harness" in (done := harness()).out + done.err


def test_an_unknown_command_is_told(harness):
    done = harness("trian")
    assert done.code == 2
    assert "No such command 'trian'" in done.told


def test_a_mistake_is_told_on_stderr_with_exit_code_2_and_lines_as_they_are(world):
    script = Path(sys.executable).with_name("harness")
    name = "a/" * 60 + "adapter"
    done = subprocess.run([script, "chat", name], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == f"error: {name} is neither an adapter's folder nor a run"
