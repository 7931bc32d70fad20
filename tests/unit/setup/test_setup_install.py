import ast
import importlib
import subprocess
import sys

import pytest


@pytest.fixture
def install():
    return importlib.import_module("install")


@pytest.mark.parametrize("version", [(3, 11), (3, 12)])
def test_supported_python_is_accepted(install, version):
    assert install.wrong_python(version) == ""


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 10), (3, 13), (4, 0)])
def test_wrong_python_says_which_is_needed_and_that_nothing_was_downloaded(install, version):
    message = install.wrong_python(version)
    assert f"Python {version[0]}.{version[1]};" in message
    assert "3.11 or 3.12 is needed" in message
    assert "Nothing was downloaded" in message


def test_wrong_python_names_one_that_is_here(install, monkeypatch):
    monkeypatch.setattr(install, "runs", lambda name: name == "python3.11")
    assert "make setup PYTHON=python3.11" in install.wrong_python((3, 9))
    monkeypatch.setattr(install, "runs", lambda name: False)
    assert "apt-get install python3.11" in install.wrong_python((3, 9))


def test_a_shim_that_does_not_start_is_not_a_python(install, tmp_path):
    shim = tmp_path / "python3.11"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    assert not install.runs(str(shim))
    assert not install.runs(str(tmp_path / "absent"))
    assert install.runs(sys.executable)


def test_first_file_parses_on_an_old_python(scripts):
    ast.parse((scripts / "install.py").read_text(), feature_version=(3, 6))


def test_check_only_runs_without_installing(scripts, tmp_path):
    """A copy of the scripts in an empty folder: nothing there, so the check looks at the machine alone."""
    folder = tmp_path / "setup"
    folder.mkdir()
    for script in scripts.glob("*.py"):
        (folder / script.name).write_bytes(script.read_bytes())
    (tmp_path / "pyproject.toml").write_text("")
    command = [sys.executable, str(folder / "install.py"), "--check", "--extra", "cpu"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in answer.stdout + answer.stderr
    assert answer.returncode in (0, 1)
    assert ("Everything is there" in answer.stdout) is (answer.returncode == 0)
    assert not (tmp_path / ".venv").exists()
