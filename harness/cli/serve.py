"""``harness serve``: an adapter behind an OpenAI-compatible address on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import BaseModel, EngineName, HomePath, TargetName
from harness.cli.screen import console, error_console


def serve(
    target: TargetName,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    base_model: BaseModel = None,
    engine: EngineName = "auto",
    home: HomePath = None,
    reports: Annotated[Path, typer.Option(help="Where the reports of runs lie.")] = Path("reports"),
) -> None:
    """Serve an adapter (or a run's model) OpenAI-compatibly on 127.0.0.1 until Ctrl-C.

    A key is made for each start and printed once. `harness serve outputs/triage --port 8000`
    """
    from harness.job.byhand import open_target
    from harness.reporting.progress import progress_printer
    from harness.serving import Served, serve_foreground
    from harness.store import Home

    out = console()

    def ready(served: Served) -> None:
        out.print(f"serving {', '.join(served.models)} at {served.url}", markup=False)
        out.print(f"key: {served.key}", markup=False)
        out.print("Ctrl-C stops it.")

    with progress_printer(error_console()) as on_event:
        opened = open_target(target, base_model, engine, Home.find(home), reports, on_event)
        serve_foreground(
            opened.engine,
            template=opened.renderer.template_text,
            stop_ids=opened.renderer.stop_ids,
            port=port,
            on_event=on_event,
            check=opened.check,
            on_ready=ready,
        )
