"""``harness preprocess``: what the model will see, before anything is trained."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import ConfigFile, DataPath, HomePath, Overrides
from harness.cli.screen import console, error_console, show_notes

_WIDE = 1_000_000
"""Columns where nobody's terminal sets a width: a row's tokens stay on one line."""


def preprocess(
    config: ConfigFile,
    overrides: Overrides = None,
    data: DataPath = None,
    home: HomePath = None,
    rows: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="N|ID", help="Show this row token by token, by number or id. Repeatable."),
    ] = None,
) -> None:
    """Render, tokenise and mask the rows, write them to `dataset_prepared_path`, and show what the model will see.

    `harness preprocess configs/qlora.yml --row 1 --row 7`
    """
    from harness.config import load_config
    from harness.data.preprocess import preprocess as prepare
    from harness.models import resolve_base
    from harness.reporting.progress import progress_printer
    from harness.store import Home

    run_config = load_config(config, overrides=overrides or (), data=data)
    out, err = console(), error_console()
    show_notes(run_config, err)
    with progress_printer(err) as on_event:
        where = Home.find(home)
        base = resolve_base(run_config.base_model, where, revision=run_config.revision_of_model, on_event=on_event)
    prepared = prepare(run_config, base.path)
    if not out.is_terminal:
        out.width = _WIDE
    # not soft-wrapped: rich would cut a row's tokens at the terminal's edge instead of folding them
    out.print(prepared.report(tuple(rows or ("1",))), soft_wrap=False)
    for note in prepared.encoded.notes:
        out.print(note, markup=False)
    unset = "nothing was written: the config sets no dataset_prepared_path"
    out.print(f"the rows lie in {prepared.file}" if prepared.file else unset, markup=False)
