"""Level-1 checks: pure functions from a reply to a :class:`Check`, which is truthy and explains itself.

A check takes a generation or its text. What they need of other packages is imported when they are called.
"""

from harness.checks.check import Check
from harness.checks.ending import no_refusal, stopped
from harness.checks.language import language_is
from harness.checks.numeric import close_to, length
from harness.checks.sql import sql_parses
from harness.checks.structured import equals_json, is_json, matches_schema
from harness.checks.text import (
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
from harness.checks.toolcalls import calls_tool

__all__ = [
    "Check",
    "calls_tool",
    "close_to",
    "contains",
    "contains_all",
    "contains_any",
    "ends_with",
    "equals",
    "equals_json",
    "excludes",
    "is_json",
    "language_is",
    "length",
    "matches_regex",
    "matches_schema",
    "no_refusal",
    "no_repetition",
    "one_of",
    "sql_parses",
    "starts_with",
    "stopped",
]
