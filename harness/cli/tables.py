"""Tables for people on a terminal, and tab-separated lines for programs."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table


def console() -> Console:
    """Return a console on standard output that colours nothing by guessing.

    Lines are wrapped only where a person reads them.
    """
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, soft_wrap=True)


def print_table(
    out: Console, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()
) -> None:
    """Print a table; without a terminal, a header and a line per row, separated by tabs and never cut.

    Args:
        out: where to print.
        columns: the headings.
        rows: as many texts each as there are columns.
        right: the columns with numbers, aligned to the right.
    """
    if not out.is_terminal:
        for row in (columns, *rows):
            # past rich, which would put spaces in place of the tabs
            out.file.write("\t".join(" ".join(cell.split()) for cell in row) + "\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_escaped, row))
    out.print(table)


def age(seconds: float) -> str:
    """Return how long ago something was, for people: ``3 h ago``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now"


def moment(seconds: float) -> str:
    """Return a time since the epoch as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
