from collections import Counter

from harness.reporting.terminal import Column, cell, comparison_table, tally
from harness.types import Verdict


def test_a_cell_never_counts_what_was_not_scored():
    assert cell({"pass": 3, "fail": 1}).split() == ["3/4", "75.0%", "[30,", "95]"]
    assert cell({"pass": 3, "fail": 1}, interval=False).split() == ["3/4", "75.0%"]
    assert cell({"pass": 3, "fail": 1, "error": 2, "unscored": 1}).split() == [
        *["3/4", "75.0%", "[30,", "95]", "(+", "2", "error,", "1", "unscored)"]
    ]
    assert cell({"error": 2}) == "- (+ 2 error)"
    assert cell({}) == "-"


def test_runs_side_by_side():
    base = {
        ("s", "a/test_x.py::test_one"): Counter({"pass": 1, "fail": 1}),
        ("s", "a/test_x.py::test_two"): Counter({"fail": 2}),
    }
    better = {
        ("s", "a/test_x.py::test_one"): Counter({"pass": 2}),
        ("t", "b/test_y.py::test_three"): Counter({"pass": 1}),
    }
    table = [" ".join(line.split()) for line in comparison_table([Column("base", base), Column("new", better)])]
    assert table == [
        "passed base new",
        "s 1/4 25.0% 2/2 100.0%",
        "test_x.py::test_one 1/2 50.0% [9, 91] 2/2 100.0% [34, 100]",
        "test_x.py::test_two 0/2 0.0% [0, 66] -",
        "t test_y.py::test_three - 1/1 100.0% [21, 100]",
        "all 1/4 25.0% 3/3 100.0%",
    ]


def test_columns_line_up():
    tallies = {("s", "test_x.py::test_one"): Counter({"pass": 10, "fail": 190})}
    lines = comparison_table([Column("a rather long label of a model", tallies), Column("b", tallies)])
    assert len({len(line) for line in lines}) == 1


def test_verdicts_are_counted_by_suite_test_and_outcome():
    def verdict(case, outcome):
        return Verdict("r", f"t[{case}]", "t", case, "s", outcome)

    assert tally([verdict("a", "pass"), verdict("b", "pass"), verdict("c", "error")]) == {
        ("s", "t"): Counter({"pass": 2, "error": 1})
    }
