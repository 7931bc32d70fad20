"""What the file names and the machine does not have: chat templates, and files of rows."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.config.marks import KeyPath
from harness.config.overrides import show_path
from harness.config.packages import PACKAGE, package_file
from harness.errors import ConfigError

Finding = tuple[KeyPath, str]

TEMPLATES = ("alpaca", "chatml", "completion", "gemma", "llama3", "mistral", "phi3", "qwen")
"""The chat templates that come with the harness; a test holds them to those of the data room."""
OTHER_TEMPLATE_NAMES: Mapping[str, str] = {
    "phi_3": "phi3",
    "phi_35": "phi3",
    "phi3.5": "phi3",
    "qwen_25": "qwen",
    "qwen2": "qwen",
    "qwen2.5": "qwen",
    "llama-3": "llama3",
    "llama3.1": "llama3",
    "mistral_v1": "mistral",
    "inst": "mistral",
}
"""Other trainers' names of the same templates."""
_OWN = "tokenizer_default"
_OWN_OR = "tokenizer_default_fallback_"


def unknown_templates(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield every chat template that is named and does not exist; those of the rows where they decide."""
    name = values.get("chat_template")
    if name is None and values.get("chat_template_jinja") is None:
        for at, dataset in _datasets(values):
            for key in ("conversation", "chat_template"):
                yield from _unknown_template((*at, key), dataset.get(key))
    elif name != "jinja":
        yield from _unknown_template(("chat_template",), name)


def _unknown_template(path: KeyPath, name: Any) -> Iterator[Finding]:
    if not isinstance(name, str) or name in ("", _OWN) or any(mark in name for mark in ("{{", "{%", "\n")):
        return
    known = (*TEMPLATES, *OTHER_TEMPLATE_NAMES)
    plain = name.removeprefix(_OWN_OR)
    if plain in known:
        return
    near = difflib.get_close_matches(plain, known, 1, 0.6)
    meant = f"did you mean {near[0]}? " if near else ""
    yield (
        path,
        f"{show_path(path)}: there is no chat template {plain!r}; {meant}allowed: {', '.join(TEMPLATES)}, {_OWN}, "
        "or the text of one's own in chat_template_jinja",
    )


def missing_rows(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield every data set whose ``path`` names a file of this machine that is not there; a hub's id is none."""
    for at, dataset in _datasets(values):
        path = dataset.get("path")
        reason = _missing(path) if isinstance(path, str) else None
        if reason:
            yield (*at, "path"), f"{show_path((*at, 'path'))}: {reason}"


def _missing(path: str) -> str | None:
    if path.startswith(PACKAGE):
        try:
            package_file(path)
        except ConfigError as error:
            return error.title
        return None
    here = Path(path)
    try:
        if not here.is_absolute() or here.exists():
            return None
        if any(sign in path for sign in "*?["):
            return None if _matches(here) else f"no file matches {path!r}"
    except (OSError, ValueError):
        return None  # a name that no disk takes: reading the rows says so
    return f"{path!r} does not exist"


def _matches(pattern: Path) -> bool:
    fixed = next(number for number, part in enumerate(pattern.parts) if any(sign in part for sign in "*?["))
    folder = Path(*pattern.parts[:fixed])
    return any(True for _ in folder.glob(str(Path(*pattern.parts[fixed:]))))


def _datasets(values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    datasets = values.get("datasets")
    for index, dataset in enumerate(datasets if isinstance(datasets, list) else ()):
        if isinstance(dataset, dict):
            yield ("datasets", index), dataset
