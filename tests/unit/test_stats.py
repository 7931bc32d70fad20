import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.stats import wilson_interval


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_the_interval_is_that_of_scipy(counts, confidence):
    passed, scored = counts
    reference = binomtest(passed, scored).proportion_ci(confidence, method="wilson")
    assert wilson_interval(passed, scored, confidence) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_a_published_example():
    """Newcombe 1998, table I: 81 of 263, and none of 20."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0000, 0.1611), abs=5e-5)
