"""A user's own format: ``module:function`` or ``file.py:function``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.problems import RowError, nearest


@dataclass(frozen=True)
class Skip:
    """Returned by a user's function for a row that shall not be used; the reason is counted."""

    reason: str


def load_function(reference: str, folder: Path | None = None) -> Callable[..., Any]:
    """Import the function that ``reference`` names.

    Args:
        reference: ``module:function``, or ``file.py:function``.
        folder: what a relative file is relative to.

    Raises:
        RowError: there is no such file, module or function, or importing it fails.
    """
    module_name, _, name = reference.rpartition(":")
    module = _load_file(module_name, folder) if module_name.endswith(".py") else _load_module(module_name)
    function = getattr(module, name, None)
    if not callable(function):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise RowError([f"type {reference!r}: {module_name} has no function {name!r}{nearest(name, names)}"])
    return function  # type: ignore[no-any-return]  # getattr of a module


def _load_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise RowError([f"type: the module {name!r} cannot be imported: {type(error).__name__}: {error}"]) from error


def _load_file(name: str, folder: Path | None) -> Any:
    path = (folder or Path.cwd()) / Path(name).expanduser()
    if not path.is_file():
        raise RowError([f"type: the file {path} does not exist"])
    known = f"_harness_format_{path.stem}_{abs(hash(str(path.resolve())))}"
    spec = importlib.util.spec_from_file_location(known, path)
    if spec is None or spec.loader is None:
        raise RowError([f"type: {path} cannot be imported"])
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[known]
        raise RowError([f"type: {path} cannot be imported: {type(error).__name__}: {error}"]) from error
    return module
