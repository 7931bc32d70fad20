"""Whatever stands in the file, the answer is a configuration or a ConfigError."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.config import RunConfig, config_from
from harness.config.fields import fields_of
from harness.config.marks import Document, parse_document
from harness.config.overrides import apply_overrides
from harness.config.run import RunConfig as Model
from harness.config.unsupported import UNSUPPORTED
from harness.errors import ConfigError

NAMES = [*fields_of(Model), *UNSUPPORTED[""], "lora_rr", "Serve", ""]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(
        ["", "lora", "qlora", "cosine", "package://x", "a:b", "b.py:c", "~x/y", "{{", "1e-4", "\0", "x" * 300]
    ),
    st.text(max_size=20),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(
                    ["path", "type", "split", "json", "regex", "grammar", "beams", "temperature", "eos_token"]
                ),
                st.text(max_size=5),
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
SANE = {"base_model": "org/m", "adapter": "lora", "datasets": [{"path": "x.jsonl"}]}
FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def outcome(values) -> RunConfig | None:
    try:
        return config_from(values, Path("/nowhere"))
    except ConfigError as caught:
        error = caught
    assert error.problems
    assert all(problem.message for problem in error.problems)
    return None


@FUZZ
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_any_values(values):
    config = outcome({**SANE, **values})
    if config is not None:
        assert outcome(config.resolved()) is not None, "the resolved copy of a good configuration is good"


@FUZZ
@given(st.text(max_size=80) | st.text("{}[]:,-&*!|>'\"% \n\tab1e.<#?", max_size=60))
def test_any_text(text):
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_document(text, "run.yml"), Document)


@FUZZ
@given(st.lists(st.text("ab.[]0=:{}'\"datsets \n", max_size=25), max_size=3))
def test_any_override(requests):
    values = {"datasets": [{"path": "x"}], "a": {"b": 1}}
    done = apply_overrides(values, requests, None)
    assert len(done.problems) + len(done.origins) <= len(requests)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**80, "x" * 100_000, [[[[]]]]])
def test_hostile_values_everywhere(value):
    for name in fields_of(Model):
        outcome({**SANE, name: value})
