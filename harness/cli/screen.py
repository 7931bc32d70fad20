"""What the commands share of the terminal."""

from __future__ import annotations

from rich.console import Console

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
