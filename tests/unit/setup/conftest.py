import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[3] / "setup"


@pytest.fixture(autouse=True)
def scripts_importable(monkeypatch):
    """The set-up scripts are run as files, with their own folder first on the path."""
    monkeypatch.syspath_prepend(str(SETUP))
    yield
    for name in ("environment", "install", "preflight", "progress", "quickstart"):
        sys.modules.pop(name, None)


@pytest.fixture
def scripts():
    return SETUP
