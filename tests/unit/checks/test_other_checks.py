from __future__ import annotations

import math

import pytest

from harness.checks import close_to, language_is, length, no_refusal, sql_parses, stopped
from harness.errors import ConfigError
from harness.types import Decoding

# numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("The answer is 42.", 42),
        ("-3.5", -3.5),
        ("−3.5 degrees", -3.5),
        ("$1,234,567.89 in total", 1234567.89),
        ("6.02e23", 6.02e23),
        (".5", 0.5),
        ("50%", 50),
        ("(7)", 7),
        ("about 1e-4 s", 1e-4),
    ],
)
def test_a_number_is_read(text: str, value: float) -> None:
    assert close_to(text, value)


@pytest.mark.parametrize("text", ["none", "", "v1.2.3", "x86", "3rd", "10.0.0.1", "12,34"])
def test_what_is_no_number(text: str) -> None:
    check = close_to(text, 1)
    assert not check
    assert check.reason.startswith("no number in ")


@pytest.mark.parametrize(
    ("rel", "abs_", "near", "far"), [(0.01, 0, 101, 102), (0, 0.5, 100.5, 100.6), (0.01, 5, 105, 105.1)]
)
def test_tolerances_are_math_isclose_s(rel: float, abs_: float, near: float, far: float) -> None:
    assert bool(close_to(near, 100, rel=rel, abs=abs_)) == math.isclose(near, 100, rel_tol=rel, abs_tol=abs_) is True
    assert bool(close_to(far, 100, rel=rel, abs=abs_)) == math.isclose(far, 100, rel_tol=rel, abs_tol=abs_) is False


def test_the_reason_says_by_how_much() -> None:
    assert close_to("102", 100, abs=1).reason == "102 instead of 100: off by 2, allowed 1"


def test_several_numbers() -> None:
    assert close_to("3 + 4 = 7", 7).reason == "3 numbers where one is wanted: 3, 4, 7"
    assert close_to("3 + 4 = 7", 7, pick="last")
    assert close_to("3 + 4 = 7", 3, pick="first")


def test_nan_is_close_to_nothing() -> None:
    assert not close_to(float("nan"), float("nan"))


# length


def test_length(generation) -> None:
    assert length("  12345 \n", at_least=5, at_most=5)
    assert length("one two three", unit="words", at_most=3)
    assert length("a\nb\n", unit="lines", at_least=2, at_most=2)
    assert length(generation("a b", token_ids=(1, 2, 3)), unit="tokens", at_least=3, at_most=3)
    assert length(generation("a b", token_ids=(), completion_tokens=9), unit="tokens", at_least=9, at_most=9)
    assert length("one two", unit="words", at_most=1).reason == "2 words, at most 1 wanted; ends with 'one two'"
    assert length("", at_least=1).reason == "0 characters, at least 1 wanted: ''"


def test_a_text_has_no_tokens() -> None:
    with pytest.raises(ConfigError, match="needs a generation"):
        length("abc", unit="tokens", at_most=3)


# ending


@pytest.mark.parametrize(
    ("reason", "passed"), [("stop", True), ("tool_calls", True), ("length", False), ("error", False)]
)
def test_stopped(generation, reason: str, passed: bool) -> None:
    assert bool(stopped(generation("x", finish_reason=reason))) == passed


def test_stopped_says_where_it_was_cut_off(generation) -> None:
    cut = generation("and so on and so", finish_reason="length", completion_tokens=64, decoding=Decoding(max_tokens=64))
    assert stopped(cut).reason == "cut off after 64 tokens (max_tokens 64); ends with 'and so on and so'"
    assert stopped(generation("", finish_reason="error", error="no memory")).reason == "finish reason error: no memory"


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I can’t assist with this request.",
        "Sorry! I cannot provide that information.",
        "As an AI language model, I do not have opinions.",
        "I am unable to comply with this request.",
        "I'm unable to help you with that.",
        "I must decline.",
        "That would be against my guidelines.",
        "I apologize, but this is not possible.",
    ],
)
def test_refusals(text: str) -> None:
    check = no_refusal(text)
    assert not check
    assert check.reason


@pytest.mark.parametrize(
    "text",
    [
        '{"calculations": [{"op": "COUNT"}]}',
        "The service cannot be reached because the port is closed.",
        "You can't help noticing the difference.",
        "He said he was sorry, but the train had left.",
        "I can help with that: here is how.",
        "An AI that plays chess was built in 1997.",
        "",
    ],
)
def test_no_refusals(text: str) -> None:
    assert no_refusal(text)


def test_refusals_are_looked_for_at_the_beginning() -> None:
    assert no_refusal("A long answer. " * 40 + "I'm sorry, but I can't say more.")


def test_phrases_of_one_s_own() -> None:
    assert not no_refusal("Das kann ich leider nicht tun.", phrases=["kann ich leider nicht"])


# SQL


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("SELECT a, count(*) FROM t WHERE b = 'x' GROUP BY a ORDER BY 2 DESC LIMIT 5;", None),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "postgres"),
        ("INSERT INTO t (a) VALUES (1)", "mysql"),
        ("(SELECT 1) UNION ALL (SELECT 2)", None),
        ("SELECT `a` FROM `p.d.t` WHERE DATE(ts) > DATE_SUB(CURRENT_DATE(), INTERVAL 1 DAY)", "bigquery"),
        ("CREATE TABLE t (a INT)", "sqlite"),
        ("DELETE FROM t WHERE a = 1", "duckdb"),
    ],
)
def test_sql(text: str, dialect: str | None) -> None:
    assert sql_parses(text, dialect)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT a FROM", "Expected table name"),
        ("SELEC a FROM t", "at line 1, column "),
        ("SELECT * FROM t WHERE x = 'y", "Error tokenizing"),
        ("", "0 statements instead of 1"),
        ("-- nothing", "0 statements instead of 1"),
        ("SELECT 1; SELECT 2", "2 statements instead of 1"),
        ("foo bar", "is an expression, not a statement"),
        ("(1, 2)", "is an expression, not a statement"),
        ("Here is the query: SELECT 1", "at line 1"),
        ("```sql\nSELECT 1\n```", "the SQL stands in a ``` block"),
        ("CREATE THING x", "does not know the statement"),
    ],
)
def test_no_sql(text: str, reason: str) -> None:
    check = sql_parses(text)
    assert not check
    assert reason in check.reason


def test_several_statements_can_be_asked_for() -> None:
    assert sql_parses("SELECT 1; SELECT 2", statements=2)
    assert sql_parses("SELECT 1; SELECT 2", statements=None)
    assert not sql_parses("", statements=None)


def test_an_unknown_dialect_is_the_suite_s_mistake() -> None:
    with pytest.raises(ConfigError, match="postgres"):
        sql_parses("SELECT 1", "postgresssql")


# language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The invoice was sent to the customer yesterday.", "en"),
        ("Die Rechnung wurde gestern an den Kunden geschickt.", "de"),
        ("La facture a été envoyée au client hier.", "fr"),
        ("請求書は昨日お客様に送付されました。", "ja"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert language_is(text, language)
    other = "en" if language != "en" else "de"
    check = language_is(text, other)
    assert not check
    assert check.reason.startswith(f"{language} (")


def test_the_languages_that_come_into_question_can_be_named() -> None:
    assert language_is("Das ist eine Antwort", "de", among=["en"])
    assert not language_is("This is an answer", "de", among=["en"])
    assert language_is("The invoice was sent to the customer yesterday.", "en"), (
        "a restriction must not outlive its call"
    )


def test_a_probability_can_be_asked_for() -> None:
    text = "The invoice was sent to the customer yesterday."
    assert language_is(text, "en", at_least=0.5)
    assert "only at" in language_is(text, "en", at_least=0.99999).reason


@pytest.mark.parametrize("text", ["", "ok", "12345 67890 !!!", '{"a": 1}'])
def test_too_little_text_to_tell(text: str) -> None:
    assert "too little text to tell" in language_is(text, "en").reason


@pytest.mark.parametrize("options", [{}, {"among": ["en"]}])
def test_an_unknown_language_is_the_suite_s_mistake(options) -> None:
    with pytest.raises(ConfigError, match="Known are"):
        language_is("some text that is long enough", "english", **options)
