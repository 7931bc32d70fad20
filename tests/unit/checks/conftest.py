from __future__ import annotations

from typing import Any

import pytest

from harness.types import Decoding, Generation


@pytest.fixture
def generation():
    """Make a generation with the given text; any other field can be given too."""

    def make(text: str = "", **fields: Any) -> Generation:
        given = {
            "key": "k",
            "case_id": "c",
            "model_hash": "m",
            "token_ids": tuple(range(len(text.split()))),
            "prompt_token_ids": (),
            "finish_reason": "stop",
            "decoding": Decoding(),
        }
        return Generation(text=text, **(given | fields))

    return make
