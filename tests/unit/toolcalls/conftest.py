import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def rows():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        return importlib.import_module("suites.toolcalls.rows")


@pytest.fixture(scope="session")
def all_rows(rows):
    """Every row of both files with its source."""
    return [pair for category in rows.CATEGORIES for pair in rows.read_rows(rows.data_file(category))]
