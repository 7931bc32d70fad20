"""The protocol between a job's parent and child, with small children of our own."""

import os
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from harness.process.job import JobFailure, run_job

HEAD = """
import json, os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
def emit(event):
    with (folder / "events.jsonl").open("a") as file:
        file.write(json.dumps(event) + "\\n")
"""
WORKER = """
from harness.process.job import job_main
def work(request, emit):
{body}
job_main(work)
"""


@pytest.fixture
def run(tmp_path):
    def start(code, on_event=lambda event: None, request=None, env=None):
        script = tmp_path / "child.py"
        script.write_text(code)
        argv = [sys.executable, str(script)]
        return run_job(argv, request or {}, name="the job", folder=tmp_path / "work", on_event=on_event, env=env)

    return start


def raw(body):
    return HEAD + textwrap.dedent(body)


def work(body):
    return WORKER.format(body=textwrap.indent(textwrap.dedent(body), "    "))


def test_request_events_and_result(run):
    events = []
    body = """
    for step in range(3):
        emit({"event": "step", "step": step, "text": request["text"]})
    return {"sum": 3}
    """
    assert run(work(body), events.append, {"text": "äöü\n"}) == {"sum": 3}
    assert events == [{"event": "step", "step": step, "text": "äöü\n"} for step in range(3)]


def test_environment(run):
    assert run(work("import os\nreturn {'found': os.environ['WHAT']}"), env={"WHAT": "this"}) == {"found": "this"}


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        ("ValueError('no')", "failed", "ValueError: no"),
        ("MemoryError()", "memory", "MemoryError"),
        ("RuntimeError('CUDA out of memory. Tried')", "memory", "out of memory"),
        ("RuntimeError('DefaultCPUAllocator: can\\'t allocate memory: you tried')", "memory", "can't allocate"),
        ("OSError(28, 'No space left on device')", "disk", "No space left"),
        ("OSError(27, 'File too large')", "disk", "File too large"),
        ("Exception('I/O error: No space left on device (os error 28)')", "disk", "No space left"),
        ("OSError(2, 'gone')", "failed", "gone"),
        ("__import__('harness.errors').errors.TrainingError('too warm')", "input", "too warm"),
        ("SystemExit(3)", "failed", "SystemExit: 3"),
        ("KeyboardInterrupt()", "failed", "KeyboardInterrupt"),
    ],
)
def test_what_is_raised_is_told(run, raised, kind, message):
    failure = run(work(f"print('last words')\nraise {raised}"))
    assert isinstance(failure, JobFailure)
    assert failure.kind == kind
    assert message in failure.message
    assert "last words" in failure.tail


def test_a_failure_is_known_before_the_child_has_ended(run):
    code = raw('emit({"event": "error", "kind": "failed", "message": "x", "pid": os.getpid()})\ntime.sleep(600)')
    assert run(code).message == "x"


def test_the_log_has_the_traceback(run):
    failure = run(work("def inner():\n    raise ValueError('no')\ninner()"))
    assert any("in inner" in line for line in failure.tail)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "failed", "SIGSEGV"),
        ("print('hm'); sys.exit(7)", "failed", "exit code 7"),
        ("print('hm')", "failed", "exit code 0"),
        ("print('write: No space left on device'); os._exit(1)", "disk", "no space left"),
        ("print('subprocess.CalledProcessError: died with <Signals.SIGKILL: 9>.'); sys.exit(1)", "killed", "memory"),
    ],
)
def test_an_end_without_a_word(run, body, kind, words):
    failure = run(raw(body))
    assert failure.kind == kind
    assert words in failure.message
    assert "the job" in failure.message


def test_a_launchers_own_traceback_is_left_out_where_its_child_was_killed(run):
    said = ("step 3", "Traceback (most recent call last):", "  launcher", "CalledProcessError: <Signals.SIGKILL: 9>")
    assert run(raw(f"print(*{said}, sep='\\n'); sys.exit(1)")).tail == ("step 3",)


def test_a_half_written_event_is_waited_for(run):
    events = []
    code = raw("""
    with (folder / "events.jsonl").open("a") as file:
        for part in ('{"event": "step", ', '"step": 1}\\n{"event": "result"', ', "result": {}}\\n'):
            file.write(part)
            file.flush()
            time.sleep(0.15)
    """)
    assert run(code, events.append) == {}
    assert events == [{"event": "step", "step": 1}]


def test_events_of_an_earlier_job_in_the_folder_are_not_read(run):
    assert run(work("return {'first': 1}")) == {"first": 1}
    assert run(work("import time\ntime.sleep(0.2)\nreturn {'second': 2}")) == {"second": 2}


def test_whatever_the_parent_does_no_child_stays(run, tmp_path):
    pids = []

    def on_event(event):
        pids.extend(event["pids"])
        raise KeyboardInterrupt

    code = raw("""
    import subprocess
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    emit({"event": "started", "pids": [os.getpid(), other.pid]})
    time.sleep(600)
    """)
    with pytest.raises(KeyboardInterrupt):
        run(code, on_event)
    assert len(pids) == 2
    assert not any(map(psutil.pid_exists, pids))


KILLED_PARENT = """
import os, signal, sys
from pathlib import Path
from harness.process.job import run_job
here = Path(__file__).parent
def on_event(event):
    (here / "pid").write_text(str(event["pid"]))
    os.kill(os.getpid(), signal.SIGKILL)
run_job([sys.executable, str(here / "child.py")], {}, name="x", folder=here / "work", on_event=on_event)
"""


def test_a_killed_parent_leaves_no_child(tmp_path):
    (tmp_path / "parent.py").write_text(KILLED_PARENT)
    (tmp_path / "child.py").write_text(raw('emit({"event": "started", "pid": os.getpid()})\ntime.sleep(600)'))
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, str(tmp_path / "parent.py")) == -9
    pid = int((tmp_path / "pid").read_text())
    for _ in range(200):
        if not psutil.pid_exists(pid):
            return
        time.sleep(0.05)
    raise AssertionError("the child outlived its parent")


def test_a_command_that_is_not_there(tmp_path):
    failure = run_job([str(Path("/no/such/program"))], {}, name="the job", folder=tmp_path, on_event=lambda event: None)
    assert isinstance(failure, JobFailure)
    assert "cannot start /no/such/program" in "\n".join(failure.tail)
