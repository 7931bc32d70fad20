"""Statistics of pass rates."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson_interval(passed: int, scored: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a rate, from 0 to 1 (Wilson 1927): sound for few items and rates near 0 and 1.

    Items are taken as independent.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, weight = passed / scored, z * z / scored
    centre = (rate + weight / 2) / (1 + weight)
    half = sqrt(weight * (rate * (1 - rate) + weight / 4)) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)
