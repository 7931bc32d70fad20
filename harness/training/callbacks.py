"""A user's own code in the training loop.

A callback is a class with any of these methods; it is made without arguments in the training process::

    class Watch:
        def on_start(self, event): ...   # {"steps", "rows", "trainable", …}
        def on_step(self, event): ...    # {"step", "loss", "learning_rate", "grad_norm", "tokens_per_second", …}
        def on_eval(self, event): ...    # {"step", "loss"}
        def on_save(self, event): ...    # {"step", "path"}
        def on_end(self, event): ...     # the figures of the run

``on_step`` and ``on_eval`` may return ``STOP`` to end training after this step; what was trained is kept.
Callbacks run on the main process only, and see no tensors: they watch, they do not train.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import TrainingError

STOP = "stop"


class Callbacks:
    """The callbacks of one run, called in the order they were named."""

    def __init__(self, references: Sequence[str]) -> None:
        """Import and make each of ``references``.

        Raises:
            TrainingError: one cannot be imported.
        """
        self._callbacks = [_load(reference)() for reference in references]

    def call(self, moment: str, event: Mapping[str, Any]) -> bool:
        """Call ``on_<moment>`` where there is one; return whether any asked to stop."""
        methods = [getattr(callback, f"on_{moment}", None) for callback in self._callbacks]
        return STOP in [method(dict(event)) for method in methods if method]


def _load(reference: str) -> Any:
    where, _, name = reference.rpartition(":")
    try:
        module = _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
        return getattr(module, name)
    except (ImportError, AttributeError, ValueError, OSError) as error:
        raise TrainingError(
            f"callback {reference!r} cannot be loaded: {error}. Write module:Class or file.py:Class."
        ) from error


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
