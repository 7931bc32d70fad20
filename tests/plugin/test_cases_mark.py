import json


def collect(project, suite, *args):
    project.suite(suite)
    return project.run("--collect-only", "-q", *args)


def test_collection_needs_no_model_and_asks_for_nothing(project):
    result = project.run("--collect-only", "-q", base_only=False)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["test_suite.py::test_is_yes[[]c0[]]", "test_suite.py::test_is_yes[[]c2[]]"])
    assert project.log == []
    assert not (project.path / ".harness").exists()
    assert not (project.path / "reports").exists()


def test_cases_without_a_model_is_a_usage_error_that_names_the_options(project):
    result = project.run(base_only=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: 3 collected items ask for a model's replies, but no model is named: *--train-config*"]
    )
    result.stderr.fnmatch_lines(["*--adapter PATH*--base-only*--endpoint URL*--generations FILE*"])


def test_a_path_is_relative_to_the_test_file(project):
    project.cases(name="inner/data/eval.jsonl")
    project.suite(
        'import pytest\n@pytest.mark.cases("data/eval.jsonl")\ndef test_it(case): pass\n', "inner/test_inner.py"
    )
    project.run("--collect-only", "-q", "inner").stdout.fnmatch_lines(["inner/test_inner.py::test_it[[]c0[]]"])


def test_a_missing_file_is_a_collection_error(project):
    result = collect(project, 'import pytest\n@pytest.mark.cases("gone.jsonl")\ndef test_it(case): pass\n')
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*gone.jsonl*"])
    assert "INTERNALERROR" not in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_bad_rows_are_all_named_with_their_lines(project):
    project.write("cases.jsonl", '{"id": "a", "messages": [{"role": "user", "content": "x"}]}\nnot json\n{"id": "b"}\n')
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*cases.jsonl:2*", "*cases.jsonl:3*"])
    assert project.log == [], "nothing is served after a collection error"


def test_an_empty_file_is_a_collection_error(project):
    project.write("cases.jsonl", "")
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*cases.jsonl*"])


def test_a_function_may_give_the_cases(project):
    project.suite(
        """
        import pytest
        from harness.types import Case, Message
        def make():
            for name in ("x", "y"):
                yield Case(name, (Message("user", name),), meta={"n": name})
        @pytest.mark.cases(source=make)
        def test_it(case, generation):
            assert case.meta["n"] == case.id
            assert case.suite
        """
    )
    project.run().assert_outcomes(passed=2)


def test_a_function_that_raises_or_returns_rubbish_is_a_collection_error(project):
    body = "import pytest\ndef make():\n    {}\n@pytest.mark.cases(source=make)\ndef test_it(case): pass\n"
    raising = collect(project, body.format("raise KeyError('boom')"))
    raising.stdout.fnmatch_lines(["*make, given to @pytest.mark.cases, raised KeyError: 'boom'*"])
    rubbish = collect(project, body.format("return [1, 2]"))
    rubbish.stdout.fnmatch_lines(["*item 0 is a int, not a harness.types.Case*", "*item 1 is a int*"])
    nothing = collect(project, body.format("return []"))
    nothing.stdout.fnmatch_lines(["*make, given to @pytest.mark.cases, returned no case*"])


def test_two_cases_of_one_id_are_a_collection_error(project):
    body = """
        import pytest
        from harness.types import Case, Message
        def make(): return [Case("x", (Message("user", "1"),)), Case("x", (Message("user", "2"),))]
        @pytest.mark.cases(source=make)
        def test_it(case): pass
        """
    collect(project, body).stdout.fnmatch_lines(["*item 1: a second case with the id 'x'*"])


def test_a_mark_with_wrong_arguments_says_what_it_takes(project):
    for arguments in ("", "3", "'a.jsonl', 'b'", "'a.jsonl', colour='red'", "'cases.jsonl', from_sample='x'"):
        result = collect(project, f"import pytest\n@pytest.mark.cases({arguments})\ndef test_it(case): pass\n")
        assert result.ret == 2, arguments
        result.stdout.fnmatch_lines(["*write @pytest.mark.cases(*"])


def test_a_function_of_ones_own_makes_cases_of_training_rows(project):
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "yes"}]}
    project.write("rows.jsonl", json.dumps({"id": "r", **row}) + "\n")
    project.suite(
        """
        import pytest
        from harness.types import Case
        def to_case(sample):
            return Case(sample.id + "-as-case", sample.messages[:1], expected=sample.messages[-1].content)
        @pytest.mark.cases("rows.jsonl", from_sample=to_case)
        def test_it(case, generation):
            assert case.id == "r-as-case"
            assert generation.text == case.expected
        """
    )
    project.run().assert_outcomes(passed=1)


def test_a_test_of_the_module_without_case_or_generation_runs_once(project):
    project.suite(
        """
        import pytest
        pytestmark = pytest.mark.cases("cases.jsonl")
        def test_plain(): pass
        def test_it(generation): pass
        """
    )
    project.run().assert_outcomes(passed=4)


def test_a_mark_on_a_test_that_takes_no_case_is_a_collection_error(project):
    result = collect(project, 'import pytest\n@pytest.mark.cases("cases.jsonl")\ndef test_it(): pass\n')
    result.stdout.fnmatch_lines(["*test_it has @pytest.mark.cases but takes neither `case` nor `generation`*"])


def test_the_nearest_mark_wins(project):
    project.cases(1, name="other.jsonl")
    project.suite(
        """
        import pytest
        pytestmark = pytest.mark.cases("cases.jsonl")
        @pytest.mark.cases("other.jsonl")
        def test_near(generation): pass
        def test_far(generation): pass
        """
    )
    project.run().assert_outcomes(passed=4)


def test_cases_multiply_with_other_parameters(project):
    project.suite(
        """
        import pytest
        pytestmark = pytest.mark.cases("cases.jsonl")
        @pytest.mark.parametrize("limit", [1, 2])
        def test_it(generation, limit): pass
        """
    )
    project.run().assert_outcomes(passed=6)
    assert project.did("request") == 3


def test_odd_ids_are_shown_as_pytest_shows_them(project):
    ids = ["a b", "ü", "x/y::z", "[q]", "new\nline", "tab\t"]
    rows = [{"id": name, "messages": [{"role": "user", "content": name}]} for name in ids]
    project.write("cases.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    project.suite(
        """
        import pytest
        @pytest.mark.cases("cases.jsonl")
        def test_ours(generation): pass
        @pytest.mark.parametrize("x", [0] * 6, ids=IDS)
        def test_theirs(x): pass
        """.replace("IDS", repr(ids))
    )
    lines = project.run("--collect-only", "-q").stdout.lines
    ours = [line.partition("::test_ours")[2] for line in lines if "::test_ours" in line]
    theirs = [line.partition("::test_theirs")[2] for line in lines if "::test_theirs" in line]
    assert ours == theirs
    assert len(ours) == 6


def test_a_test_class_takes_cases_too(project):
    project.suite(
        """
        import pytest
        @pytest.mark.cases("cases.jsonl")
        class TestIt:
            def test_one(self, generation): pass
            def test_two(self, case, generation): pass
        """
    )
    project.run().assert_outcomes(passed=6)
    assert {row["test"] for row in project.rows("results.jsonl")} == {
        "test_suite.py::TestIt::test_one",
        "test_suite.py::TestIt::test_two",
    }


def test_nothing_is_served_when_no_case_is_left(project):
    result = project.run("-k", "nothing_is_called_so")
    assert result.ret == 5
    assert project.log == []
    assert project.runs == []


def test_an_error_elsewhere_in_the_collection_keeps_the_engine_down(project):
    project.suite("import nothing_of_this_name\n", "test_broken.py")
    result = project.run()
    assert result.ret == 2
    assert project.log == []
    project.run("--continue-on-collection-errors").assert_outcomes(passed=3, errors=1)
