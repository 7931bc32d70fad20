"""What the commands share of the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from harness.errors import InputError

if TYPE_CHECKING:
    from harness.config import RunConfig


def console() -> Console:
    """Return the console for results; progress and errors go to stderr."""
    return Console(highlight=False, soft_wrap=True)


def error_console() -> Console:
    """Return the console for progress."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def show_notes(config: RunConfig, to: Console) -> None:
    """Say once which keys were accepted but are not used here, and why."""
    for note in config.notes:
        to.print(f"note: {note}", markup=False, style="yellow")


@contextmanager
def writing(what: str, where: Path) -> Iterator[None]:
    """Tell a user why ``what`` cannot be written to the folder ``where`` that they named.

    Raises:
        InputError: no folder can be made there, it is not theirs to write to, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        named = f" ({error.filename})" if error.filename else ""
        raise InputError(
            f"{what} cannot be written to {where}: {reason}{named}", hint="give another folder, or make room there"
        ) from error
