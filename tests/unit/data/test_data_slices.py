"""Split notation, held against the ``datasets`` library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.slices import parse_split, rows_needed, take

_bound = st.none() | st.integers(-130, 130)
_percent = st.none() | st.integers(-100, 100)


def _reference(text: str, count: int) -> list[int]:
    from datasets import ReadInstruction

    rows = list(range(count))
    parts = ReadInstruction.from_spec(text).to_absolute({"train": count})
    return [row for part in parts for row in rows[part.from_ : part.to]]


def _show(start: int | None, stop: int | None, unit: str) -> str:
    return f"train[{'' if start is None else f'{start}{unit}'}:{'' if stop is None else f'{stop}{unit}'}]"


@given(_bound, _bound, st.integers(0, 120))
def test_rows_are_those_of_datasets(start, stop, count):
    text = _show(start, stop, "")
    assert take(parse_split(text), range(count)) == _reference(text, count)


@given(_percent, _percent, st.integers(0, 250))
def test_per_cent_is_that_of_datasets(start, stop, count):
    text = _show(start, stop, "%")
    assert take(parse_split(text), range(count)) == _reference(text, count)


@given(st.lists(st.tuples(_bound, _bound), min_size=1, max_size=3), st.integers(0, 120))
def test_the_rows_needed_are_enough(bounds, count):
    parts = parse_split(" + ".join(_show(start, stop, "") for start, stop in bounds))
    needed = rows_needed(parts)
    rows = list(range(count))
    assert needed is None or take(parts, rows[:needed]) == take(parts, rows)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("train", list(range(10))),
        ("[:3]", [0, 1, 2]),
        ("train[-2:]", [8, 9]),
        ("[25%:75%]", [2, 3, 4, 5, 6, 7]),
        ("train[:1]+train[-1:]", [0, 9]),
        ("train[8:100]", [8, 9]),
        ("train[5:2]", []),
    ],
)
def test_forms(text, rows):
    assert take(parse_split(text), range(10)) == rows


@pytest.mark.parametrize("text", ["", "train[", "train[1]", "train[a:b]", "train[:200%]", "tr ain", "train[::2]"])
def test_what_is_no_split_is_refused(text):
    with pytest.raises(ValueError, match=r"is not a split|in per cent"):
        parse_split(text)
