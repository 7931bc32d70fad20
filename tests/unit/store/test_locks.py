from __future__ import annotations

import json
import os
import signal

import pytest

from harness.errors import StoreError
from harness.store import hold, locks, try_hold
from harness.store.locks import is_locked, read_holder
from harness.store.processes import ProcessMark
from harness.store.usage import living_users, mark_used

HOLD = """
import sys
from pathlib import Path
from harness.store import hold
with hold(Path(sys.argv[1]), "training the adapter", print):
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
"""


def fail(message):
    raise AssertionError(f"waited: {message}")


def test_a_lock_is_exclusive_between_processes(tmp_path, start):
    path = tmp_path / "locks" / "a.lock"
    other = start(HOLD, path)
    assert other.line() == "held"
    assert is_locked(path)
    with try_hold(path, "trying") as held:
        assert not held
    other.tell()
    assert other.line() == "released"
    with try_hold(path, "trying") as held:
        assert held
    assert not is_locked(path)


def test_who_waits_is_told_for_whom_and_what(tmp_path, start):
    path = tmp_path / "a.lock"
    other = start(HOLD, path)
    other.line()
    told = []

    def on_wait(message):
        told.append(message)
        other.tell()

    with hold(path, "waiting", on_wait):
        assert other.line() == "released"
    assert len(told) == 1
    assert f"process {other.pid} (training the adapter, for " in told[0]


def test_a_lock_is_released_when_its_process_is_killed(tmp_path, start):
    path = tmp_path / "a.lock"
    other = start(HOLD, path)
    other.line()
    other.process.send_signal(signal.SIGKILL)
    other.process.wait()
    with hold(path, "after the kill", fail):
        assert read_holder(path).pid == os.getpid()


def test_a_lock_file_removed_before_it_was_locked_is_not_taken_for_the_lock(tmp_path, monkeypatch):
    path = tmp_path / "a.lock"
    real = locks._lock_now
    calls = []

    def lock_now(descriptor, operation):
        calls.append(descriptor)
        if len(calls) == 1:
            path.unlink()
        return real(descriptor, operation)

    monkeypatch.setattr(locks, "_lock_now", lock_now)
    with hold(path, "one", lambda message: None):
        assert len(calls) == 2
        assert is_locked(path), "whoever comes by the name meets the lock"


def test_a_lock_is_released_after_an_exception(tmp_path):
    with pytest.raises(RuntimeError, match="builder"), hold(tmp_path / "a.lock", "failing", fail):
        raise RuntimeError("builder")
    with hold(tmp_path / "a.lock", "again", fail):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_an_unreadable_holder_is_unknown(tmp_path, content):
    (tmp_path / "a.lock").write_text(content)
    assert read_holder(tmp_path / "a.lock") is None
    with hold(tmp_path / "a.lock", "a longer description than was there", fail):
        assert json.loads((tmp_path / "a.lock").read_text())["pid"] == os.getpid()


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot save a lock file"), try_hold(tmp_path / "file" / "a.lock", "x"):
        pass


# ------------------------------------------------------- marks of processes


def test_this_process_is_alive():
    assert ProcessMark.current().is_alive(0)


def test_a_mark_survives_writing():
    mark = ProcessMark.current()
    assert ProcessMark.parse(str(mark)) == mark
    assert "/" not in str(mark)


def test_a_dead_process_is_not_alive(start):
    other = start("from harness.store.processes import ProcessMark; print(ProcessMark.current(), flush=True); input()")
    mark = ProcessMark.parse(other.line())
    assert mark.pid == other.pid
    assert mark.is_alive(0)
    other.process.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert not mark.is_alive(0), "a zombie is dead"
    other.process.wait()
    assert not mark.is_alive(0)


def test_a_pid_that_was_given_again_is_another_process():
    mark = ProcessMark.current()
    assert not ProcessMark(mark.host, mark.pid, "another start").is_alive(0)


def test_a_process_of_another_host_counts_as_alive_for_a_day(monkeypatch):
    monkeypatch.setattr("harness.store.processes.time.time", lambda: 1_000_000.0)
    mark = ProcessMark("elsewhere", 1, "x")
    assert mark.is_alive(1_000_000.0 - 3600)
    assert not mark.is_alive(1_000_000.0 - 25 * 3600)


def test_users_are_the_living(tmp_path, start):
    code = """
import sys
from pathlib import Path
from harness.store.usage import mark_used
mark_used(Path(sys.argv[1])); print("used", flush=True); input()
"""
    users = tmp_path / "users"
    assert living_users(users) == []
    other = start(code, users)
    other.line()
    mark_used(users)
    mark_used(users)
    assert living_users(users) == sorted([os.getpid(), other.pid])
    other.kill()
    assert living_users(users) == [os.getpid()]
    assert len(list(users.iterdir())) == 1, "marks of the dead are removed"
