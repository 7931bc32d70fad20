"""``harness init``: a working suite and config to start from."""

from __future__ import annotations

import shlex
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.screen import console, writing
from harness.errors import InputError, Problem

_NEXT = "pytest suites/ --train-config configs/triage.yml"


def _starter_files(starter: Path) -> list[Path]:
    return sorted(p.relative_to(starter) for p in starter.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if missing.")] = Path(),
) -> None:
    """Write a small working suite, its data and a config: support tickets sorted to teams.

    Nothing that exists is overwritten. `harness init`, or `harness init tickets` for a folder of its own.
    """
    out = console()
    with as_file(files("harness.cli") / "starter") as starter:
        names = _starter_files(starter)
        taken = [folder / name for name in names if (folder / name).exists()]
        if taken:
            raise InputError(
                "these files are there already, nothing was written:",
                [Problem(str(path)) for path in taken],
                "move them away, or give another folder: harness init FOLDER",
            )
        with writing("the suite", folder):
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((starter / name).read_bytes())
                out.print(f"  wrote {folder / name}", markup=False)
    go = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    out.print(f"\nNow run:  {go}{_NEXT}", markup=False)
