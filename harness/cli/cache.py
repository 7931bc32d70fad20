"""``harness cache``: what lies in the caches, and how to get rid of it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from harness import store
from harness.cli.options import HomePath
from harness.cli.tables import age, console, print_table
from harness.errors import StoreError
from harness.store import CACHE_KINDS, CacheEntry, CacheKind, EntryProblems, Home, Removal, format_bytes

app = typer.Typer(
    help="Cached models, adapters and prepared data: list, prune, clear, verify.\n\n"
    "Everything in the caches can be made again; clearing them costs time, never results.\n\n"
    "`harness cache ls`, `harness cache prune --older-than 14d`",
    no_args_is_help=True,
)

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

_COLUMNS = ("kind", "key", "size", "last used", "created", "what", "state")


def parse_size(text: str) -> int:
    """Return the bytes that ``20GB``, ``500 MiB`` or ``1.5G`` stand for; units are powers of 1024.

    Raises:
        typer.BadParameter: it is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size: write a number and a unit, as in 500MB or 20GB")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))


def parse_age(text: str) -> float:
    """Return the seconds that ``90m``, ``12h``, ``14d`` or ``2w`` stand for.

    Raises:
        typer.BadParameter: it is not a time.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a time: write a number and s, m, h, d or w, as in 14d")
    return float(match[1]) * _SECONDS[match[2].lower()]


def parse_kinds(names: Sequence[str] | None) -> Sequence[CacheKind]:
    """Return the kinds of entries that are named; all, where none is.

    Raises:
        typer.BadParameter: there is no such kind.
    """
    known: dict[str, CacheKind] = {kind: kind for kind in CACHE_KINDS}
    if unknown := [name for name in names or () if name not in known]:
        raise typer.BadParameter(f"{', '.join(unknown)}: the kinds are {', '.join(CACHE_KINDS)}")
    return [known[name] for name in names] if names else CACHE_KINDS


Kinds = Annotated[
    list[str] | None, typer.Argument(metavar="KIND", help=f"Only: {', '.join(CACHE_KINDS)}. Default: all.")
]
OlderThan = Annotated[
    float | None,
    typer.Option(metavar="TIME", help="What was not used for so long, as in 14d or 12h.", parser=parse_age),
]
MaxSize = Annotated[
    int | None,
    typer.Option(metavar="SIZE", help="The longest unused until so much is left, as in 20GB.", parser=parse_size),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("ls")
def list_entries(kinds: Kinds = None, home: HomePath = None) -> None:
    """List the entries, last used first."""
    where, chosen = Home.find(home), parse_kinds(kinds)
    entries = store.cache_entries(where, chosen)
    out = console()
    if not entries:
        out.print(f"nothing is cached in {where.root}", markup=False)
        return
    print_table(out, _COLUMNS, [_row(entry) for entry in entries], right=("size",))
    if out.is_terminal:
        total = format_bytes(sum(entry.size for entry in entries))
        out.print(f"{len(entries)} entries, {total} in {where.root}", markup=False)


@app.command("prune")
def prune_entries(
    kinds: Kinds = None,
    older_than: OlderThan = None,
    max_size: MaxSize = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")] = False,
    home: HomePath = None,
) -> None:
    """Remove what was not used for long, and what crashed builds left. What is in use stays."""
    where, chosen, out = Home.find(home), parse_kinds(kinds), console()
    if dry_run:
        entries = store.prunable(where, kinds=chosen, older_than=older_than, max_bytes=max_size)
        going = [entry for entry in entries if not entry.is_busy]
        for entry in going:
            out.print(f"would remove {_name(entry)}", markup=False)
        size = format_bytes(sum(entry.size for entry in going))
        out.print(f"would free {size} and what crashed builds left", markup=False)
        return
    _report(out, store.prune(where, kinds=chosen, older_than=older_than, max_bytes=max_size))
    if older_than is None and max_size is None:
        out.print("only leftovers were looked for: name --older-than 14d or --max-size 20GB to remove entries")


@app.command("clear")
def clear_entries(kinds: Kinds = None, yes: Yes = False, home: HomePath = None) -> None:
    """Remove all entries that are not in use. Runs and replies are kept."""
    where, chosen, out = Home.find(home), parse_kinds(kinds), console()
    entries = store.cache_entries(where, chosen)
    size = format_bytes(sum(entry.size for entry in entries))
    if entries and not yes:
        typer.confirm(f"Remove {len(entries)} entries ({size}) from {where.root}?", abort=True)
    _report(out, store.clear(where, chosen))


@app.command("verify")
def verify_entries(kinds: Kinds = None, home: HomePath = None) -> None:
    """Read every byte of every entry, and of the run store, and hold it against what was recorded.

    Ends with exit code 1 when something is damaged.
    """
    where, chosen, out = Home.find(home), parse_kinds(kinds), console()
    problems = _verify(where, chosen, out)
    for problem in problems:
        what = "; ".join(problem.problems)
        out.print(f"damaged: {problem.kind}/{problem.key}: {what}", markup=False, style="red")
    run_problems = _run_store_problems(where)
    for line in run_problems:
        out.print(f"damaged: the run store: {line}", markup=False, style="red")
    if problems:
        out.print("a damaged entry is set aside and built anew when it is needed next")
    if problems or run_problems:
        raise typer.Exit(1)
    out.print("all entries and the run store are whole")


def _verify(home: Home, kinds: Sequence[CacheKind], out: Console) -> list[EntryProblems]:
    total = sum(entry.size for entry in store.cache_entries(home, kinds))
    with Progress(console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("verifying", total=total)
        begun: list[int] = []

        def on_entry(entry: CacheEntry) -> None:
            progress.update(task, description=f"verifying {entry.kind}/{entry.key[:12]}", completed=sum(begun))
            begun.append(entry.size)

        return store.verify(home, kinds, on_entry)


def _run_store_problems(home: Home) -> list[str]:
    if not home.runs_db.exists():
        return []
    try:
        with store.RunStore(home.runs_db) as runs:
            return runs.check()
    except StoreError as error:
        return [str(error)]


def _row(entry: CacheEntry) -> Sequence[str]:
    now = time.time()
    used, created = (age(now - when) if when else "" for when in (entry.last_used, entry.created))
    return entry.kind, entry.key, format_bytes(entry.size), used, created, entry.description, _state(entry)


def _state(entry: CacheEntry) -> str:
    if entry.users:
        return f"in use by {', '.join(map(str, entry.users))}"
    return "being built" if entry.is_building else ""


def _name(entry: CacheEntry) -> str:
    return f"{entry.kind}/{entry.key} ({format_bytes(entry.size)}): {entry.description}"


def _report(out: Console, removal: Removal) -> None:
    for entry in removal.removed:
        out.print(f"removed {_name(entry)}", markup=False)
    for entry in removal.kept_busy:
        out.print(f"kept {_name(entry)}, {_state(entry) or 'in use'}", markup=False, style="yellow")
    out.print(f"freed {format_bytes(removal.freed)}")
