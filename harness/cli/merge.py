"""``harness merge``: base and adapter as one ordinary model folder."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import BaseModel, HomePath, TargetName
from harness.cli.screen import console, error_console, writing
from harness.errors import InputError, ModelError

_OURS = ("entry.json", "canary.json")
"""Of the cache, not of the model."""


def merge(
    target: TargetName,
    out: Annotated[Path, typer.Argument(help="The folder to write; must not exist.")],
    dtype: Annotated[str, typer.Option(help="bfloat16, float16 or float32.")] = "bfloat16",
    base_model: BaseModel = None,
    home: HomePath = None,
    reports: Annotated[Path, typer.Option(help="Where the reports of runs lie.")] = Path("reports"),
) -> None:
    """Merge an adapter into its base; the sum is formed in float32. The base is recorded beside the weights.

    `harness merge outputs/triage merged/triage --dtype float16`
    """
    from harness.job.byhand import find_target
    from harness.models import merge_adapter
    from harness.reporting.progress import progress_printer
    from harness.store import Home, write_manifest

    if dtype not in ("bfloat16", "float16", "float32"):
        raise InputError(f"dtype is {dtype!r}; allowed are bfloat16, float16, float32")
    if out.exists():
        raise InputError(f"{out} exists already, nothing was written", hint="give a folder that does not exist yet")
    where = Home.find(home)
    with progress_printer(error_console()) as on_event:
        found = find_target(target, base_model, where, reports, on_event)
        if found.adapter is None:
            raise ModelError(f"{target} is a base model alone: there is no adapter to merge")
        folder = merge_adapter(found.base, found.adapter, where, dtype=dtype, on_event=on_event)
    with writing("the merged model", out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:  # whole or not at all
            model = Path(beside) / "model"
            model.mkdir()
            for file in folder.iterdir():
                if file.name not in _OURS:
                    (shutil.copytree if file.is_dir() else shutil.copyfile)(file, model / file.name)
            if found.adapter.template is not None:  # the one it was trained with, which need not be the base's
                (model / "chat_template.jinja").write_text(found.adapter.template, encoding="utf-8")
            write_manifest(model, {"base": found.base, "adapter": found.adapter, "dtype": dtype})
            model.rename(out)
    console().print(f"wrote {out}: {found.adapter.content_hash[:12]} merged into {found.base.ref}", markup=False)
