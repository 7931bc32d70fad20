"""Runs to compare with (``--baseline base``, ``--decode both``): child sessions over the same selection."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from harness.process import Child
    from harness.reporting.terminal import Column
    from pytest_ftplugin.plan import Plan
    from pytest_ftplugin.session import State
    from pytest_ftplugin.settings import Settings

POLL_SECONDS = 0.1
COMPLETED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


@dataclass(frozen=True)
class Other:
    """One child session: which model, decoded how."""

    base: bool
    mode: Literal["greedy", "grammar"]
    name: str


def others(settings: Settings, mode: Literal["greedy", "grammar"]) -> list[Other]:
    """Return the sessions that come before this one, which is the last."""
    modes: list[Literal["greedy", "grammar"]] = ["greedy", "grammar"] if settings.decode == "both" else [mode]
    subjects = [True, False] if settings.baseline == "base" else [False]
    found = [
        Other(base, each, " ".join([*(["base"] if base else []), *([each] if len(modes) > 1 else [])]))
        for base in subjects
        for each in modes
    ]
    return found[:-1]


def run_others(state: State, plan: Plan) -> list[Column]:
    """Run the child sessions one after another and return their columns of the table.

    Raises:
        pytest.exit.Exception: one of them did not come to verdicts.
    """
    wanted = others(state.settings, state.mode)
    if not wanted:
        return []
    with tempfile.TemporaryDirectory(prefix="ft-") as folder:
        selection = Path(folder) / "select.txt"
        selection.write_text("\n".join(plan.trials) + "\n", encoding="utf-8")
        return [_run(state, other, Path(folder) / str(number), selection) for number, other in enumerate(wanted)]


def _run(state: State, other: Other, folder: Path, selection: Path) -> Column:
    from harness.process import Child

    run_file = folder / "run.json"
    argv = [sys.executable, "-m", "pytest", *_arguments(state.pytest_config, other, folder, selection, run_file)]
    state.terminal.line(f"ft: first, the same selection: {other.name}")
    directory = Path(state.pytest_config.invocation_params.dir)
    with Child.start(argv, name=f"{other.name} session", log=folder / "output.txt", cwd=directory) as child:
        for line in _lines(child):
            state.terminal.line(f"  {other.name} | {line}")
        code = child.wait()
    if code not in COMPLETED or not run_file.exists():
        pytest.exit(f"the session over the {other.name} ended with exit code {code}", returncode=code or 1)
    return _column(state, json.loads(run_file.read_text(encoding="utf-8")), other)


def _column(state: State, run: dict[str, str], other: Other) -> Column:
    from harness.reporting.terminal import Column, tally
    from harness.store import Home, RunStore

    with RunStore(Home.find(state.settings.home).runs_db) as store:
        tallies = tally(store.verdicts(run["run"]))
    label = f"{run['label']}, {other.mode}" if state.settings.decode == "both" else run["label"]
    return Column(label, tallies)


def _arguments(config: pytest.Config, other: Other, folder: Path, selection: Path, run_file: Path) -> list[str]:
    """Return this session's own arguments with what differs laid over them (the last of an option holds)."""
    own = [str(argument) for argument in config.invocation_params.args]
    ending = own.index("--") if "--" in own else len(own)
    over = ["--ft-baseline=none", f"--ft-decode={other.mode}", f"--ft-select={selection}", f"--ft-run-file={run_file}"]
    if other.base:
        over.append("--ft-base-only")
    # all verdicts are wanted, and nothing of this session's files may be overwritten
    over += ["--maxfail=0", "-o", f"cache_dir={folder / 'cache'}"]
    if hasattr(config.option, "xmlpath"):
        over.append("--junit-xml=")
    if config.pluginmanager.has_plugin("_cov"):
        over.append("--no-cov")
    over += ["--verbosity=-1", "--tb=no", "-rN", "--no-header"]
    return [*own[:ending], *over, *own[ending:]]


def _lines(child: Child) -> Iterator[str]:
    """Yield the lines a child writes, as it writes them, until it ends."""
    with child.log.open(encoding="utf-8", errors="replace") as log:
        rest = ""
        while True:
            ended = child.poll() is not None
            *lines, rest = (rest + log.read()).split("\n")
            yield from (line for line in lines if line.strip())
            if ended:
                return
            time.sleep(POLL_SECONDS)
