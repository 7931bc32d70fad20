"""Killed again and again, at moments that nobody chose: no reply is lost, none is asked for twice."""

import random
import sqlite3
import subprocess
import sys
import time

import pytest

CASES = 150
KILLS = 12


def stored(project):
    """Keys of the replies in the run store, each as often as it is there."""
    for file in (project.path / ".harness").glob("*.sqlite"):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "generations" in tables:
                return [key for (key,) in database.execute("SELECT key FROM generations")]
    return []


def let_it_ask(project, process, count):
    """Wait until it has asked for ``count`` replies more."""
    enough = project.did("request") + count
    while project.did("request") < enough and process.poll() is None:
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_killed_at_any_moment_and_run_again(project, args):
    project.fake(default="yes", pause=0.02)
    project.cases(CASES)
    argv = [sys.executable, "-m", "pytest", "--base-only", f"--base-model={project.base}", *args]
    chance = random.Random(7)
    kept: list[str] = []
    for number in range(KILLS):
        with subprocess.Popen(argv, cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            if number % 3:
                let_it_ask(project, process, chance.randint(1, 10))
            time.sleep(chance.uniform(0, 0.03 if number % 3 else 1.0))
            process.kill()
        now = stored(project)
        assert set(kept) <= set(now), "what was stored stays stored"
        kept = now
    assert 0 < len(kept) < CASES, "every kill must come before the end"
    project.run(*args).assert_outcomes(passed=CASES)
    final = stored(project)
    assert len(final) == len(set(final)) == CASES
    # a reply that was on its way to the store when the kill came is asked for again, and only such a one
    assert CASES <= project.did("request") <= CASES + 2 * KILLS
