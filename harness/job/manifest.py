"""What a run writes down about itself: enough to know what was tested, and to do it again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.job.fill import FillReport
from harness.job.identity import KeyContext
from harness.job.request import RunRequest, Target
from harness.store import machine, versions
from harness.types import to_json

_URL_LOGIN = re.compile(r"(?<=://)[^/?#\s@]+(?=@)")
_URL_KEY = re.compile(r"([?&][\w.-]*(?:key|token|secret|password|signature)[\w.-]*=)[^&#\s]+", re.IGNORECASE)
HIDDEN = "***"


def without_secrets(value: Any) -> Any:
    """Return ``value`` (JSON data) with the logins and keys in its URLs replaced by ``***``."""
    if isinstance(value, str):
        return _URL_KEY.sub(rf"\1{HIDDEN}", _URL_LOGIN.sub(HIDDEN, value))
    if isinstance(value, Mapping):
        return {key: without_secrets(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    return value


def run_manifest(
    request: RunRequest,
    target: Target,
    context: KeyContext,
    run_id: str,
    *,
    status: str,
    timings: Mapping[str, float],
    fills: Sequence[FillReport],
    engine: Mapping[str, Any],
    applied: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the manifest of a run as JSON data, without secrets. Times are in seconds."""
    manifest = {
        "run": run_id,
        "status": status,
        "subject": target.label,
        "kind": target.kind,
        "argv": list(request.argv),
        "hashes": {
            "model": target.model_hash,
            "base": target.base.content_hash if target.base else None,
            "tokenizer": target.base.tokenizer_hash if target.base else None,
            "adapter": target.adapter.content_hash if target.adapter else None,
            "data": target.adapter.data_hash if target.adapter else None,
            "config": target.adapter.config_hash if target.adapter else None,
            "template": context.template,
        },
        "adapter": to_json(target.adapter),
        "base": to_json(target.base),
        "decoding": to_json(context.decoding),
        "engine": dict(engine),
        "adapter_applied": dict(applied),
        "training": {**target.training, "in_this_run": target.trained_now} if target.training else None,
        "generation": [asdict(fill) for fill in fills],
        "timings": dict(timings),
        "config": request.config.resolved() if request.config else None,
        "notes": request.config.notes if request.config else (),
        "machine": machine(),
        "versions": versions(),
    }
    return {key: without_secrets(value) for key, value in manifest.items()}
