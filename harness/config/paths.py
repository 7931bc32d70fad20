"""Makes names of files absolute and reads the files whose text is a value."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from harness.config.fields import PathKind, fields_of, section_of, traits_of
from harness.config.marks import KeyPath
from harness.config.overrides import show_path
from harness.config.packages import PACKAGE, package_file
from harness.errors import ConfigError

_ROWS = {".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".txt", ".gz", ".zst", ".bz2", ".xz"}
_WEIGHTS = {".gguf"}
LOADERS = ("json", "csv", "parquet", "arrow", "text")
"""A data set's ``path`` may be one of these; ``data_files`` then says where the rows are."""

FolderOf = Callable[[KeyPath], Path]
"""The folder that a relative name at a key is meant from: the file's, or the shell's for an override."""


def resolve_paths(values: dict[str, Any], model: type[BaseModel], folder_of: FolderOf) -> dict[KeyPath, str]:
    """Change ``values`` in place; return what is wrong, by key."""
    problems: dict[KeyPath, str] = {}
    _resolve_section(values, model, (), folder_of, problems)
    return problems


def _resolve_section(
    values: dict[str, Any], model: type[BaseModel], path: KeyPath, folder_of: FolderOf, problems: dict[KeyPath, str]
) -> None:
    for name, field in fields_of(model).items():
        value, here = values.get(name), (*path, name)
        kind, section = traits_of(field).path, section_of(field)
        if section is not None:
            _resolve_inside(value, section, here, folder_of, problems)
        elif kind is not None and value is not None:
            try:
                values[name] = _resolve(kind, value, folder_of(here), values)
            except ValueError as error:
                problems[here] = f"{show_path(here)}: {error}"
            except (OSError, RuntimeError) as error:
                problems[here] = f"{show_path(here)}: {value!r} cannot be used as a path: {error}"


def _resolve_inside(
    value: Any,
    section: tuple[type[BaseModel], bool],
    path: KeyPath,
    folder_of: FolderOf,
    problems: dict[KeyPath, str],
) -> None:
    model, several = section
    if several and isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                _resolve_section(item, model, (*path, index), folder_of, problems)
    elif not several and isinstance(value, dict):
        _resolve_section(value, model, path, folder_of, problems)


def _resolve(kind: PathKind, value: Any, folder: Path, siblings: Mapping[str, Any]) -> Any:
    if kind == "files" and siblings.get("path") not in LOADERS:
        return value
    if kind in ("functions", "files") and isinstance(value, list):
        one: PathKind = "function" if kind == "functions" else "path"
        return [_resolve(one, item, folder, siblings) for item in value]
    if not isinstance(value, str):
        return value
    if kind in ("path", "files"):
        return str(_absolute(value, folder))
    if kind in ("model", "dataset"):
        return _reference(value, folder, _WEIGHTS if kind == "model" else _ROWS)
    if kind in ("function", "functions"):
        return _function(value, folder)
    return _json(value, folder) if kind == "json" else _text(value, folder)


def _absolute(value: str, folder: Path) -> Path:
    if value.startswith(PACKAGE):
        return _in_package(value)
    # normpath and not resolve(): a symlink keeps its name, which is the one the user knows.
    return Path(os.path.normpath(folder.absolute() / Path(value).expanduser()))


def _in_package(ref: str) -> Path:
    try:
        return package_file(ref)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _reference(value: str, folder: Path, suffixes: set[str]) -> str:
    if value.startswith(PACKAGE):
        return value
    path = _absolute(value, folder)
    looks_like_a_path = (
        value.startswith((".", "/", "~"))
        or value.count("/") > 1
        or value.endswith("/")
        or any(character in value for character in "*?\\")
        or Path(value).suffix.lower() in suffixes
    )
    return str(path) if looks_like_a_path or path.exists() else value


def _function(value: str, folder: Path) -> str:
    file, colon, name = value.rpartition(":")
    if not colon or not file.endswith(".py"):
        return value
    path = _absolute(file, folder)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return f"{path}:{name}"


def _text(value: str, folder: Path) -> str:
    """Return the text of the file that ``value`` names, or ``value`` if it is the text itself."""
    if "\n" in value or "{" in value or ":" in value.removeprefix(PACKAGE):
        return value
    path = _absolute(value, folder)
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def _json(value: str, folder: Path) -> Any:
    text = value if value.lstrip().startswith("{") else _text(value, folder)
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise ValueError(f"this is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise ValueError("a JSON schema is an object")
    return schema
