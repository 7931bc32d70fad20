from __future__ import annotations

import random

import pytest

from harness.errors import EngineError
from harness.serving import check_applied

ROWS = [list(range(5, 45)), list(range(50, 110))]


class FixedScores:
    """An engine that gives each row the scores it was made with."""

    name = "fixed"
    max_model_len = 4096

    def __init__(self, served, base=None):
        self._served = {tuple(row): scores for row, scores in zip(ROWS, served, strict=True)}
        self._base = {tuple(row): scores for row, scores in zip(ROWS, base or served, strict=True)}

    def score(self, token_ids, *, base=False):
        return (self._base if base else self._served)[tuple(token_ids)]


@pytest.fixture
def scores():
    generator = random.Random(0)
    base = [[-generator.expovariate(0.5) for _ in row[1:]] for row in ROWS]

    def near(reference, size, seed=1):
        noise = random.Random(seed)
        return [[value + noise.gauss(0, size) for value in row] for row in reference]

    return base, near


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("effect", [0.05, 0.5, 3.0])
def test_a_merged_model_is_recognised_through_rounding_noise(scores, noise, effect):
    base, near = scores
    merged = near(base, effect)
    figures = check_applied(FixedScores(near(merged, noise, 2)), ROWS, base, merged)
    assert figures["served"] == "merged"
    assert figures["tokens"] == 98
    assert figures["place"] == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("effect", [0.05, 0.5, 3.0])
def test_the_base_served_in_the_merged_models_place_is_found_out(scores, noise, effect):
    base, near = scores
    with pytest.raises(EngineError, match="not applied"):
        check_applied(FixedScores(near(base, noise, 2)), ROWS, base, near(base, effect))


def test_another_model_in_the_merged_models_place_is_found_out(scores):
    base, near = scores
    with pytest.raises(EngineError, match="another model"):
        check_applied(FixedScores(near(base, 3.0, 7)), ROWS, base, near(base, 0.5))


def test_an_effect_below_the_noise_is_not_decided_by_a_coin(scores):
    base, near = scores
    with pytest.raises(EngineError, match=r"cannot tell[^\n]*\n.*float32"):
        check_applied(FixedScores(near(base, 0.1, 2)), ROWS, base, near(base, 0.001))


def test_an_adapter_without_effect_cannot_be_shown_to_be_applied(scores):
    base, _ = scores
    with pytest.raises(EngineError, match="no difference"):
        check_applied(FixedScores(base), ROWS, base, base)


def test_lora_must_differ_from_its_base(scores):
    base, near = scores
    figures = check_applied(FixedScores(near(base, 0.01), base), ROWS)
    assert figures == {"served": "lora", "tokens": 98, "difference": pytest.approx(0.01, rel=0.3)}
    with pytest.raises(EngineError, match=r"not applied.*98 canary tokens"):
        check_applied(FixedScores(base, base), ROWS)


def test_one_row_may_come_bare(scores):
    base, near = scores
    engine = FixedScores(near(base, 0.1), base)
    assert check_applied(engine, ROWS[0])["tokens"] == 39


def test_rows_longer_than_the_context_are_cut(scores):
    base, near = scores
    merged = near(base, 1.0)

    class Short(FixedScores):
        max_model_len = 21

        def score(self, token_ids, *, base=False):
            assert len(token_ids) == 20
            row = next(row for row in self._served if row[:20] == tuple(token_ids))
            return self._served[row][:19]

    assert check_applied(Short(merged), ROWS, base, merged)["tokens"] == 38


@pytest.mark.parametrize("canary", [[], [[]], [[7]]])
def test_an_empty_canary_shows_nothing(scores, canary):
    with pytest.raises(EngineError, match="canary"):
        check_applied(FixedScores(scores[0]), canary)


def test_nan_is_not_applied(scores):
    base, _ = scores
    nan = [[float("nan")] * len(row) for row in base]
    with pytest.raises(EngineError):
        check_applied(FixedScores(nan, base), ROWS)
    with pytest.raises(EngineError):
        check_applied(FixedScores(nan), ROWS, base, [[value - 1 for value in row] for row in base])
