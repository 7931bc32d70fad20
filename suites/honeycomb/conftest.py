import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "equivalence: the query asks what was asked, not only something valid")
