"""Child process: finds a model in the local hub cache, or fetches it from the hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ModelError, Problem
from harness.process.job import Emit, job_main

WANTED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "tokenizer.model"]


def look_up(request: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Return the snapshot folder of ``request["id"]`` at ``request["revision"]``."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    name, revision = request["id"], request["revision"]
    try:
        path = Path(snapshot_download(name, revision=revision, allow_patterns=WANTED, local_files_only=True))
    except LocalEntryNotFoundError:
        path = None
    if path and any(path.glob("*.safetensors")) and (path / "config.json").exists():
        return {"path": str(path)}
    if constants.HF_HUB_OFFLINE:
        raise _missing(name, revision, "it is not in the local hub cache, and HF_HUB_OFFLINE forbids to fetch it")
    emit({"event": "download", "base": name})
    return {"path": _fetch(name, revision)}


def _fetch(name: str, revision: str | None) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return str(snapshot_download(name, revision=revision, allow_patterns=WANTED))
    except GatedRepoError as error:
        raise _missing(name, revision, "the hub asks to accept its licence and to log in (HF_TOKEN)") from error
    except RepositoryNotFoundError as error:
        raise _missing(name, revision, "the hub has no such model, or it is private (HF_TOKEN)") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise _missing(
            name, revision, f"it is not in the local hub cache, and the hub cannot be reached ({reason})"
        ) from error


def _missing(name: str, revision: str | None, reason: str) -> ModelError:
    at = f" at revision {revision}" if revision else ""
    hint = (
        "There is no file or folder of that name either. base_model takes a model folder, a .gguf file, "
        "package://<package>/<file>, or a hub id (owner/name)."
    )
    return ModelError(f"the base model {name}{at} cannot be found", [Problem(reason)], hint)


if __name__ == "__main__":
    job_main(look_up)
