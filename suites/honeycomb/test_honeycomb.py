"""Does the reply ask Honeycomb what the question asks?"""

import pytest

from harness.checks import is_json, stopped
from harness.types import Case, Generation
from suites.honeycomb.compare import equivalent
from suites.honeycomb.query import columns_exist, valid_query

pytestmark = [pytest.mark.level1, pytest.mark.cases("data/eval.jsonl"), pytest.mark.grammar(json="schema.json")]


def test_stops_by_itself(generation: Generation) -> None:
    assert stopped(generation)


def test_reply_is_json(generation: Generation) -> None:
    assert is_json(generation, "object")


def test_query_is_valid(generation: Generation) -> None:
    assert valid_query(generation.json)


def test_columns_exist(case: Case, generation: Generation) -> None:
    assert columns_exist(generation.json, case.meta["columns"])


@pytest.mark.equivalence
def test_asks_what_was_asked(case: Case, generation: Generation) -> None:
    assert equivalent(generation.json, case.expected)
