import importlib
import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture
def quickstart():
    return importlib.import_module("quickstart")


@pytest.fixture(autouse=True)
def same_interrupt_handler():
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


def ends_with(code):
    return [sys.executable, "-c", f"raise SystemExit({code})"]


@pytest.mark.parametrize("code", [0, 1])
def test_a_run_that_completed_is_a_success(quickstart, tmp_path, capsys, code):
    assert quickstart.run(ends_with(code), tmp_path) == 0
    out = capsys.readouterr().out
    assert "The run is complete" in out
    assert ("Cases that the model failed" in out) is bool(code)


@pytest.mark.parametrize("code", [2, 3, 4, 5, 10, 11, 12])
def test_any_other_code_is_a_failure_and_is_kept(quickstart, tmp_path, capsys, code):
    assert quickstart.run(ends_with(code), tmp_path) == code
    assert f"did not complete (code {code})" in capsys.readouterr().out


def test_a_killed_run_is_a_failure(quickstart, tmp_path):
    kill = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    assert quickstart.run(kill, tmp_path) == 137


def test_ctrl_c_lets_the_run_end_by_itself(scripts, tmp_path):
    """Both get the signal from the terminal; the wrapper waits until the run has cleaned up."""
    child = (
        "import pathlib, time\n"
        "try:\n    pathlib.Path('ready').touch(); time.sleep(600)\n"
        "except KeyboardInterrupt:\n    time.sleep(0.5); pathlib.Path('cleaned').touch(); raise SystemExit(2)\n"
    )
    wrapper = (
        f"import sys; sys.path.insert(0, {str(scripts)!r}); import quickstart, pathlib\n"
        f"sys.exit(quickstart.run([sys.executable, '-c', {child!r}], pathlib.Path({str(tmp_path)!r})))"
    )
    with subprocess.Popen([sys.executable, "-c", wrapper], start_new_session=True) as process:
        while not (tmp_path / "ready").exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 2
    assert (tmp_path / "cleaned").exists()


def test_command_is_the_main_job(quickstart):
    assert quickstart.COMMAND[:3] == ("suites/", "--train-config", "configs/quickstart.yml")
    assert quickstart.COMMAND[-2:] == ("--baseline", "base")
