"""The repr of a reply is what pytest shows of it."""

import pytest

from harness.types import Decoding, Generation


def generation(text, **values):
    return Generation("80e4", "c1", "5f", text, (1, 2), (3,), "stop", Decoding(), **values)


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (generation("no"), "Generation('c1', 'no', 'stop')"),
        (generation("no", repeat=1), "Generation('c1@2', 'no', 'stop')"),
        (generation("a\nb" * 100), "Generation('c1', '" + "a\\nb" * 26 + "a\\n'…, 'stop')"),
        (generation("", error="too long"), "Generation('c1', error='too long')"),
    ],
)
def test_it_is_short_and_names_the_case(reply, shown):
    assert repr(reply) == shown
