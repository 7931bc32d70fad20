"""The ``harness`` command: thin, one module per command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a user's mistake is a message and an exit code, never a traceback."""
    from harness.cli.app import app
    from harness.cli.screen import error_console
    from harness.errors import HarnessError

    try:
        app()
    except HarnessError as error:
        error_console().print(f"error: {error}", markup=False, style="red")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        error_console().print("interrupted")
        sys.exit(130)
