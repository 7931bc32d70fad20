"""From a name on the command line (an adapter's folder, a run's id) to what it stands for."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ModelError, Problem
from harness.store import Home, RunStore, read_manifest


def adapter_folder(name: str, home: Home, reports: Path) -> Path | None:
    """Return the adapter folder that ``name`` stands for; None for a run over a base model alone.

    Raises:
        ModelError: it is neither a folder nor a run, or the run's adapter is gone.
        StoreError: more than one run begins with ``name``, or none does.
    """
    path = Path(name)
    if path.is_dir():
        return path
    if "/" in name or not home.runs_db.exists():
        raise ModelError(
            f"{name} is neither an adapter's folder nor a run", hint="`harness runs` lists the runs that are known here"
        )
    store = RunStore(home.runs_db)
    try:
        run = store.run(name)
    finally:
        store.close()
    manifest = read_manifest(reports / run.id)
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


def base_of_run(name: str, home: Home, reports: Path) -> str | None:
    """Return the base model's name that a run recorded; None where ``name`` is a folder."""
    if Path(name).is_dir():
        return None
    store = RunStore(home.runs_db)
    try:
        run = store.run(name)
    finally:
        store.close()
    base = read_manifest(reports / run.id).get("base")
    return str(base["ref"]) if base else None
