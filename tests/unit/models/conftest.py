from pathlib import Path

import pytest

from harness.store import Home


@pytest.fixture
def own_home(tmp_path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def base_folder(tmp_path) -> Path:
    from model_files import make_base

    return make_base(tmp_path / "base")
