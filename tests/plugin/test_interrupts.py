"""Whatever ends the session, no process stays behind and what was stored stays stored."""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest


def gone(pid, seconds=20.0):
    """Whether a process ends within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def child_of(project):
    return int(next(line.split()[1] for line in project.log if line.startswith("child ")))


def start(project, *args):
    argv = [sys.executable, "-m", "pytest", "--base-only", f"--base-model={project.base}", *args]
    return subprocess.Popen(argv, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(project, what, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(line.startswith(what) for line in project.log):
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    raise AssertionError(f"{what} never happened")


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_control_c_while_replies_are_made(project, args):
    project.fake(default="yes", child=True, hang_after=1)
    process = start(project, *args)
    wait_for(project, "hanging", process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert gone(child_of(project))
    assert project.log[-1] == "close"
    assert json.loads((project.runs[-1] / "manifest.json").read_text())["status"] == "interrupted"
    project.fake(default="yes")
    project.run().assert_outcomes(passed=3)
    assert project.did("request") == 3, "the reply that had landed is not asked for again"


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_sigkill_half_way(project, args):
    project.fake(default="yes", child=True, kill_after=2)
    process = start(project, *args)
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert gone(child_of(project))
    project.fake(default="yes")
    project.run().assert_outcomes(passed=3)
    assert project.did("request") == 3


def test_control_c_in_a_test(project):
    project.fake(default="yes", child=True)
    project.suite(
        (project.path / "test_suite.py")
        .read_text()
        .replace('assert generation.text == "yes"', "raise KeyboardInterrupt")
    )
    result = project.run_apart()
    assert result.ret == 2
    assert gone(child_of(project))


def test_a_hook_that_fails(project):
    project.fake(default="yes", child=True)
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text() + "\ndef pytest_runtest_call(item): pytest.exit('enough', returncode=7)\n")
    assert project.run_apart().ret == 7
    assert gone(child_of(project))
    conftest.write_text(conftest.read_text() + "\ndef pytest_runtest_logreport(report): raise RuntimeError('bug')\n")
    (project.path / "fake.log").unlink()
    project.run_apart("--ft-home=other")
    assert gone(child_of(project))


def test_control_c_during_the_baseline(project):
    project.fake(default="yes", child=True, hang_after=1)
    path = project.trained()
    argv = [sys.executable, "-m", "pytest", f"--adapter={path}", "--baseline=base"]
    process = subprocess.Popen(argv, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(project, "hanging", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 2
    assert gone(child_of(project))
    assert gone(int(next(line.split()[1] for line in project.log if line.startswith("start "))))
