"""Tickets are sorted to the right team: a level-1 suite to start from.

Run it with::

    pytest suites/ --train-config configs/triage.yml

Every test below is asked once for every case in ``data/eval.jsonl``.
"""

import pytest

from harness.checks import is_json, stopped

TEAMS = {"billing", "login", "shipping", "product"}

pytestmark = [pytest.mark.cases("data/eval.jsonl"), pytest.mark.level1]


def test_reply_is_json(generation):
    assert is_json(generation)


def test_reply_ends_by_itself(generation):
    assert stopped(generation)


def test_team_is_one_of_ours(generation):
    assert generation.json["team"] in TEAMS


def test_ticket_is_sorted_right(case, generation):
    assert generation.json == case.expected
