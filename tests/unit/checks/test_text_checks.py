from __future__ import annotations

import pytest

from harness.checks import (
    contains,
    contains_all,
    contains_any,
    ends_with,
    equals,
    excludes,
    matches_regex,
    no_repetition,
    one_of,
    starts_with,
)
from harness.errors import ConfigError


def test_a_generation_is_read_by_its_text(generation) -> None:
    assert equals(generation(" yes\n"), "yes")
    assert contains(generation("yes"), "es")


def test_equals() -> None:
    assert equals("\nyes ", "yes")
    assert not equals("\nyes ", "yes", strip=False)
    assert equals("YES", "yes", ignore_case=True)
    check = equals("the answer is 43", "the answer is 42")
    assert check.reason == "'the answer is 43' instead of 'the answer is 42' (differs at character 15)"


def test_equals_shows_where_long_texts_part() -> None:
    check = equals("a" * 500 + "X" + "b" * 500, "a" * 500 + "Y" + "b" * 500)
    assert "differs at character 500" in check.reason
    assert "aXb" in check.reason
    assert "aYb" in check.reason
    assert len(check.reason) < 240


def test_a_prefix_differs_where_it_ends() -> None:
    assert "differs at character 3" in equals("yes", "yes!").reason


def test_contains() -> None:
    assert contains("Hello there", "there")
    assert contains("Hello there", "hello", ignore_case=True)
    assert contains("Hello there", "hello").reason == "'hello' is there only in other case: 'Hello there'"
    assert contains("Hello there", "bye").reason == "'bye' is not in 'Hello there'"


def test_contains_all_names_all_that_are_missing() -> None:
    assert contains_all("one two three", ["one", "two"])
    assert contains_all("one two three", [])
    check = contains_all("one two three", ["four", "one", "five"])
    assert [line.split(" ")[0] for line in check.reason.splitlines()[1:]] == ["'four'", "'five'"]


def test_contains_any() -> None:
    assert contains_any("one two", ["three", "two"])
    assert contains_any("one two", ["three", "four"]).reason == "none of 'three', 'four' in 'one two'"


@pytest.mark.parametrize("check", [contains_all, contains_any, one_of])
def test_a_string_is_no_list_of_strings(check) -> None:
    with pytest.raises(ConfigError, match=r"Write \['abc'\]"):
        check("abc", "abc")


def test_excludes() -> None:
    assert excludes("one two", "three", "four")
    assert excludes("One two", "one")
    assert not excludes("One two", "one", ignore_case=True)
    assert excludes("one two three", "two", "four", "three").reason.count(" is in ") == 2


def test_starts_and_ends() -> None:
    assert starts_with("\n{", "{", "[")
    assert ends_with("done.\n", ".", "!")
    assert starts_with("YES", "yes", ignore_case=True)
    assert starts_with("no", "yes", "maybe").reason == "starts with 'no', not with 'yes' or 'maybe'"
    assert ends_with("x" * 100, "y").reason.endswith("not with 'y'")


def test_matches_regex() -> None:
    assert matches_regex("order 66", r"\d+")
    assert matches_regex(" 66\n", r"\d+", full=True)
    assert not matches_regex("order 66", r"\d+", full=True)
    assert "does not match anything in 'order'" in matches_regex("order", r"\d+").reason
    with pytest.raises(ConfigError, match=r"'\(' is not a regular expression"):
        matches_regex("x", "(")


def test_one_of() -> None:
    assert one_of(" refund \n", ["refund", "exchange"])
    assert one_of("Refund", ["refund"], ignore_case=True)
    assert one_of("Refunds", ["refund", "exchange"], ignore_case=True).reason == (
        "'Refunds' is not one of 'refund', 'exchange' (nearest: 'refund')"
    )
    assert not one_of("", ["refund"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A sentence. Another one, and then a third that says something else.",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "    " * 40 + "deeply indented",
        "1000000000000000",
        "no no no no no",
    ],
)
def test_text_that_does_not_run_in_circles(text: str) -> None:
    assert no_repetition(text)


@pytest.mark.parametrize(
    "text",
    [
        "I think so. " * 8,
        'Sure: {"a": 1}' + ', {"op": "COUNT"}' * 10,
        "line one\nline two\n" * 6,
        "ab" * 40,
    ],
)
def test_text_that_runs_in_circles(text: str) -> None:
    check = no_repetition(text)
    assert not check
    assert "times in a row" in check.reason


def test_repetition_bounds_can_be_chosen() -> None:
    assert no_repetition("ha ha ha ha ha ha", characters=60)
    assert not no_repetition("ha ha ha ha ha ha", characters=10)
    assert not no_repetition("abcdefghijklmnopqrst" * 3, times=3)
