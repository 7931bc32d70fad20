import re
import time

import pytest

from harness.job import new_run_id


def test_ids_sort_by_time_within_a_second(monkeypatch):
    for _ in range(50):  # the random end must never decide
        made = []
        for moment in (1_800_000_000.001, 1_800_000_000.002, 1_800_000_000.9, 1_800_000_001.0):
            monkeypatch.setattr(time, "time", lambda moment=moment: moment)
            made.append(new_run_id())
        assert made == sorted(made)


@pytest.mark.parametrize("moment", [1_800_000_000.0, 1_800_000_000.0004, 1_800_000_000.9999])
def test_ids_of_one_moment_differ_and_have_one_shape(monkeypatch, moment):
    monkeypatch.setattr(time, "time", lambda: moment)
    first, second = new_run_id(), new_run_id()
    assert first != second
    assert all(re.fullmatch(r"\d{8}-\d{6}-\d{3}[0-9a-f]{4}", made) for made in (first, second))
