"""Writes configurations for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config import RunConfig, load_config
from harness.errors import ConfigError

SMALLEST = """\
base_model: org/model
datasets:
  - path: rows.jsonl
    type: sharegpt
adapter: lora
"""

Load = Callable[..., RunConfig]
Problems = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the smallest configuration with ``extra`` lines at its end."""

    def run(extra: str = "", overrides: tuple[str, ...] = (), data: Path | None = None, text: str | None = None):
        for rows in ("rows.jsonl", "x.jsonl", "a.jsonl", "b.jsonl"):
            (tmp_path / rows).touch()
        path = tmp_path / "run.yml"
        path.write_text(SMALLEST + extra if text is None else text, "utf-8")
        return load_config(path, overrides, data)

    return run


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """Load it and return every problem, with the folder taken out of the file name."""

    def run(*args, **named) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(*args, **named)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return run


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU and no tracker, whatever the machine that runs the tests has."""
    monkeypatch.setattr("harness.config.run.has_cuda", lambda: False)
    monkeypatch.setattr("harness.config.run.installed", lambda package: False)
