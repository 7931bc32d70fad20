"""Runs one command and ends its whole process tree when the parent goes away.

The parent holds the write end of the pipe on our stdin. When that closes (the parent closed it, or
died of anything, SIGKILL included) every descendant is terminated, then killed. As a subreaper we
also inherit grandchildren whose own parent died first, so nothing escapes by being orphaned.

Only the standard library is imported: this process starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _parents() -> Iterator[tuple[int, int]]:
    for entry in os.listdir("/proc") if sys.platform == "linux" else ():
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    # the command name may hold spaces and brackets: the fields start after the last one
                    yield int(entry), int(file.read().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue  # it ended while we looked


def descendants(root: int) -> list[int]:
    """Return the pids of all living descendants of ``root`` (zombies included), parents first."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    frontier = [root]
    while frontier:
        frontier = [child for parent in frontier for child in children.get(parent, ())]
        found += frontier
    return found


def _signal_all(signum: int) -> None:
    for pid in descendants(os.getpid()):
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue
    if sys.platform != "linux":  # no /proc: the session's process group is what we can reach
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(os.getpgid(0), signum)


def _reap() -> bool:
    """Collect ended children; return whether any is still alive."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def _end_tree(grace: float) -> None:
    _signal_all(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while _reap() and time.monotonic() < deadline:
        time.sleep(0.02)
    while _reap():
        _signal_all(signal.SIGKILL)
        time.sleep(0.02)


def main(argv: list[str]) -> int:
    """Run ``argv[1:]``; ``argv[0]`` is the grace in seconds between SIGTERM and SIGKILL."""
    grace, command = float(argv[0]), argv[1:]
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def watch_parent() -> None:
        while os.read(0, 4096):
            pass
        stop.set()

    def default_signals() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    threading.Thread(target=watch_parent, daemon=True).start()
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=default_signals)
    except OSError as error:
        print(f"cannot start {command[0]}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 127
    while child.poll() is None and not stop.wait(0.05):
        pass
    code = child.returncode
    _end_tree(grace)
    if code is None:
        return 128 + signal.SIGTERM
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
