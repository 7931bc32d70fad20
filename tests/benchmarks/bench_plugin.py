"""Speed of the plugin, as ratios to bare pytest in the same run: `python tests/benchmarks/bench_plugin.py`.

Rounds are interleaved, so that a slower moment of the machine hits both sides; medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))

from conftest import make_base

BARE = """
import pytest
@pytest.mark.parametrize("case", range({count}), ids=[f"case-{{i:06d}}" for i in range({count})])
def test_nothing(case): pass
"""
SUITE = """
import pytest
@pytest.mark.cases("cases.jsonl")
def test_reply(case, generation): assert generation.text
"""
ENGINE = """
from harness.types import Reply
class Fake:
    name = "fake"
    wants_ids = False
    identity = {"name": "fake"}
    def start(self, on_event): pass
    def describe(self): return {}
    def generate(self, requests, on_reply):
        for request in requests:
            on_reply(request, Reply("{}", token_ids=(1, 2), finish_reason="stop"))
    def score(self, token_ids, *, base=False): return []
    def close(self): pass
def pytest_ft_engine(config, target): return Fake()
"""
QUIET = ("-q", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Measured:
    """One timed run."""

    seconds: float
    processor: float
    """Seconds of processor time: what a busy machine leaves comparable."""
    megabytes: float


def run(folder: Path, *args: str, fresh: bool = False) -> Measured:
    """Run pytest in ``folder`` and return what it took, memory of the process itself included."""
    if fresh:
        shutil.rmtree(folder / ".harness", ignore_errors=True)
        shutil.rmtree(folder / "reports", ignore_errors=True)
    before = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *QUIET, *args], cwd=folder, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - before
        if process.returncode is None:
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            raise SystemExit(f"pytest ended with {process.returncode} in {folder}:\n{output.read().decode()}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def bare_project(root: Path, count: int) -> Path:
    """A project with ``count`` parametrised tests that do nothing."""
    folder = root / f"bare-{count}"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_bare.py").write_text(BARE.format(count=count))
    return folder


def suite_project(root: Path, count: int) -> Path:
    """A project with one check over ``count`` cases and an engine that answers at once."""
    folder = root / f"suite-{count}"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_suite.py").write_text(SUITE)
    (folder / "conftest.py").write_text(ENGINE)
    with (folder / "cases.jsonl").open("w") as file:
        for i in range(count):
            turn = {"role": "user", "content": f"question {i}: " + "what is the sum of all of these words? " * 4}
            file.write(json.dumps({"id": f"case-{i:06d}", "messages": [turn], "expected": "x"}) + "\n")
    return folder


def interleaved(rounds: int, **sides: Callable[[], Measured]) -> dict[str, list[Measured]]:
    """Run every side in turn, ``rounds`` times."""
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            found[name].append(measure())
    return found


def median(measured: Sequence[Measured]) -> float:
    """Return the median of the seconds."""
    return statistics.median(m.seconds for m in measured)


def processor(measured: Sequence[Measured]) -> float:
    """Return the median of the processor time."""
    return statistics.median(m.processor for m in measured)


def cases(root: Path, count: int, rounds: int) -> None:
    """One check over many cases, against as many parametrised tests that do nothing."""
    bare, suite = bare_project(root, count), suite_project(root, count)
    base = f"--base-model={make_base(root / 'base')}"
    found = interleaved(
        rounds,
        bare=lambda: run(bare),
        cold=lambda: run(suite, "--base-only", base, fresh=True),
        warm=lambda: run(suite, "--base-only", base),
    )
    reference = median(found["bare"])
    for name, measured in found.items():
        seconds = median(measured)
        ratio, megabytes = seconds / reference, max(m.megabytes for m in measured)
        load = processor(measured) / processor(found["bare"])
        print(
            f"{count:>7} cases  {name:<5} {seconds:8.2f} s  {ratio:5.2f}x bare ({load:.2f}x processor)"
            f"  {megabytes:6.0f} MB",
            flush=True,
        )


def unused(root: Path, rounds: int) -> None:
    """One unrelated test, with the plugin installed and with it switched off."""
    folder = root / "unrelated"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_one.py").write_text("def test_one(): pass\n")
    found = interleaved(rounds, off=lambda: run(folder, "-p", "no:ftplugin"), installed=lambda: run(folder))
    off, installed = median(found["off"]), median(found["installed"])
    more = (installed - off) * 1000
    print(f"not used       off {off * 1000:.0f} ms, installed {installed * 1000:.0f} ms: {more:+.0f} ms")


def warm(root: Path, rounds: int) -> None:
    """A re-run of 200 cases with nothing changed."""
    suite = suite_project(root, 200)
    base = f"--base-model={root / 'base'}"
    run(suite, "--base-only", base)
    found = interleaved(rounds, warm=lambda: run(suite, "--base-only", base))
    print(f"warm re-run    200 cases in {median(found['warm']):.2f} s")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", type=int, nargs="*", default=[10_000, 100_000])
    options = parser.parse_args()
    os.environ.pop("HARNESS_HOME", None)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling anew every time is not what is measured here
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["PYTHONPYCACHEPREFIX"] = str(root / "bytecode")
        make_base(root / "base")
        for count in options.cases:
            cases(root, count, options.rounds)
        warm(root, options.rounds)
        unused(root, max(options.rounds, 7))


if __name__ == "__main__":
    main()
