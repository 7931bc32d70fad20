"""``harness runs``: what was run, and how it ended."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness.cli.options import HomePath
from harness.cli.tables import console, moment, print_table
from harness.store import Home, Run, RunStore
from harness.types import Outcome, Verdict

app = typer.Typer(
    help="The runs that were made, newest first.\n\n`harness runs`, `harness runs show 20250131-14`",
    invoke_without_command=True,
)

_OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "unscored", "error")


@app.callback()
def list_runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    home: HomePath = None,
) -> None:
    """List the runs, newest first."""
    context.obj = home
    if context.invoked_subcommand is not None:
        return
    where, out = Home.find(home), console()
    if not where.runs_db.exists():
        out.print(f"there are no runs in {where.root} yet", markup=False)
        return
    with RunStore(where.runs_db) as store:
        rows = [_row(run, store.outcomes(run.id)) for run in store.runs(limit)]
    if not rows:
        out.print(f"there are no runs in {where.root} yet", markup=False)
        return
    print_table(out, ("run", "started", "took", "status", *_OUTCOMES, "model"), rows, right=("took", *_OUTCOMES))


@app.command("show")
def show_run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it begins.")],
    home: HomePath = None,
    reports: Annotated[Path, typer.Option(help="Where the reports of runs lie.")] = Path("reports"),
    failures: Annotated[int, typer.Option(min=0, help="How many failures to show.")] = 10,
) -> None:
    """Show one run: what it tested, its outcomes by test, and the first failures."""
    with RunStore(_existing(Home.find(home or context.obj))) as store:
        run = store.run(name)
        verdicts = store.verdicts(run.id)
    out = console()
    for label, text in _facts(run, reports):
        out.print(f"{label + ':':<10}{text}", markup=False)
    if verdicts:
        out.print()
        print_table(out, ("suite", "test", *_OUTCOMES), _by_test(verdicts), right=_OUTCOMES)
    _print_failures(out, [v for v in verdicts if v.outcome in ("fail", "error")], failures)


def _existing(home: Home) -> Path:
    if not home.runs_db.exists():
        raise typer.BadParameter(f"there are no runs in {home.root}: name another --home")
    return home.runs_db


def _row(run: Run, outcomes: Mapping[Outcome, int]) -> Sequence[str]:
    counts = (str(outcomes.get(outcome, 0)) for outcome in _OUTCOMES)
    return run.id, moment(run.started), _took(run), _status(run), *counts, str(run.info.get("label", ""))


def _status(run: Run) -> str:
    if run.status == "running" and not run.is_alive:
        return "cut short"
    return run.status


def _took(run: Run) -> str:
    if run.finished is None:
        return ""
    minutes, seconds = divmod(round(run.finished - run.started), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def _facts(run: Run, reports: Path) -> Iterable[tuple[str, str]]:
    yield "run", run.id
    yield "status", _status(run)
    yield "started", moment(run.started)
    if run.finished is not None:
        yield "took", _took(run)
    elif run.is_alive:
        yield "process", str(run.process.pid)
    if label := run.info.get("label"):
        yield "model", str(label)
    if argv := run.info.get("argv"):
        yield "command", shlex.join(map(str, argv))
    if (reports / run.id).is_dir():
        yield "report", str(reports / run.id)


def _by_test(verdicts: Iterable[Verdict]) -> list[Sequence[str]]:
    counts = Counter((v.suite, v.test, v.outcome) for v in verdicts)
    tests = dict.fromkeys((v.suite, v.test) for v in verdicts)
    return [(suite, test, *(str(counts[suite, test, outcome]) for outcome in _OUTCOMES)) for suite, test in tests]


def _print_failures(out: Console, failed: Sequence[Verdict], limit: int) -> None:
    for verdict in failed[:limit]:
        reason = next(iter(verdict.reason.splitlines()), "")
        out.print(f"\n{verdict.outcome}: {verdict.nodeid}", markup=False, style="red")
        if reason:
            out.print(f"  {reason}", markup=False)
    if len(failed) > limit:
        out.print(f"\n{len(failed) - limit} more failures: --failures {len(failed)}", markup=False)
