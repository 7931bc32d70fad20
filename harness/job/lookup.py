"""From a name on the command line (an adapter's folder, a run's id) to what it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ModelError, Problem, StoreError
from harness.store import Home, Run, RunStore, read_manifest


@dataclass(frozen=True)
class Named:
    """What a name stands for, before anything is read from it."""

    adapter: Path | None
    """None for a run over a base model alone."""
    base: str | None
    """The base that the run recorded; None where the name is a folder."""


def look_up(name: str, home: Home, reports: Path) -> Named:
    """Return what ``name`` stands for: a folder, or a run by its id or how that begins.

    Raises:
        ModelError: it is neither, more than one run begins so, the run tested no model of ours, or its adapter
            or its report is gone.
        StoreError: the run's manifest is damaged.
    """
    if Path(name).is_dir():
        return Named(Path(name), None)
    run = _run(name, home)
    manifest = _manifest(run, reports)
    if manifest.get("base") is None:
        raise ModelError(
            f"run {run.id} tested {manifest.get('subject', 'a model elsewhere')}: there is no model of it here",
            hint="name a run over a base or an adapter (`harness runs` lists all), or an adapter's folder",
        )
    return Named(_adapter(run, manifest), str(manifest["base"]["ref"]))


def _run(name: str, home: Home) -> Run:
    if "/" in name or not home.runs_db.exists():
        raise ModelError(
            f"{name} is neither an adapter's folder nor a run", hint="`harness runs` lists the runs that are known here"
        )
    with RunStore(home.runs_db) as store:
        try:
            return store.run(name)
        except StoreError as error:
            raise ModelError(
                f"{name} is neither an adapter's folder nor the name of one run", [Problem(str(error))]
            ) from error


def _manifest(run: Run, reports: Path) -> Mapping[str, Any]:
    if not (reports / run.id).is_dir():
        raise ModelError(
            f"run {run.id} has no report in {reports}",
            hint="say where it lies with --reports; a run that was cut short may have left none: run it again",
        )
    return read_manifest(reports / run.id)


def _adapter(run: Run, manifest: Mapping[str, Any]) -> Path | None:
    adapter = manifest.get("adapter")
    if adapter is None:
        return None
    folder = Path(adapter["path"])
    if not folder.is_dir():
        raise ModelError(
            f"the adapter of run {run.id} is gone",
            [Problem(str(folder))],
            "run its command again: the same config and data train the same adapter",
        )
    return folder
