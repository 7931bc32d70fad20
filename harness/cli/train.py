"""``harness train``: an adapter from a config, without a suite."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import ConfigFile, DataPath, HomePath, Overrides
from harness.cli.screen import console, error_console, show_notes


def train(
    config: ConfigFile,
    overrides: Overrides = None,
    data: DataPath = None,
    home: HomePath = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="One process, no caches, few rows: to see what goes wrong.")
    ] = False,
    overfit: Annotated[
        int | None,
        typer.Option(
            "--overfit", metavar="N", min=1, help="Can it learn N rows by heart? If not, rows or masks are wrong."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Train even if this adapter is in the cache.")] = False,
) -> None:
    """Train the adapter that CONFIG describes, or find it if nothing it depends on has changed.

    `harness train configs/qlora.yml --set num_epochs=1`, or to look for mistakes first:
    `harness train configs/qlora.yml --overfit 2`
    """
    from harness.config import load_config
    from harness.errors import InputError
    from harness.job.train import train_adapter, train_by_heart, train_for_debugging
    from harness.reporting.progress import progress_printer
    from harness.store import Home

    if [debug, overfit is not None, force].count(True) > 1:
        raise InputError("--debug, --overfit N and --force do not go together", hint="give one of them")
    run_config = load_config(config, overrides=overrides or (), data=data)
    out, err = console(), error_console()
    show_notes(run_config, err)
    where = Home.find(home)
    with progress_printer(err) as on_event:
        if overfit is not None:
            result = train_by_heart(run_config, overfit, where, on_event)
        elif debug:
            result = train_for_debugging(run_config, where, on_event)
        else:
            result = train_adapter(run_config, where, on_event, fresh=force)
    for line in result.lines():
        out.print(line, markup=False)
    raise typer.Exit(0 if result.ok else 1)
