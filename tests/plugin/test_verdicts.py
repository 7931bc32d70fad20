import xml.etree.ElementTree as ElementTree

from harness.store import Home, RunStore


def test_outcomes(project):
    project.cases(1)
    project.suite(
        """
        import pytest
        from harness.errors import EngineError, Unscored
        pytestmark = pytest.mark.cases("cases.jsonl")
        @pytest.fixture
        def broken(): raise OSError("no disk")
        @pytest.fixture
        def broken_after():
            yield
            raise OSError("no disk")
        def test_pass(generation): pass
        def test_fail(generation): assert generation.text == "no"
        def test_raises(generation): generation.text["x"]
        def test_skipped(generation): pytest.skip("not today")
        def test_unscored(generation): raise Unscored("the judge was silent")
        def test_engine(generation): raise EngineError("gone")
        def test_setup(generation, broken): pass
        def test_teardown(generation, broken_after): pass
        @pytest.mark.xfail
        def test_xfail(generation): assert False
        @pytest.mark.xfail
        def test_xpass(generation): pass
        @pytest.mark.xfail(strict=True)
        def test_xpass_strict(generation): pass
        @pytest.mark.skip(reason="never")
        def test_never(generation): pass
        """
    )
    result = project.run()
    assert {row["test"].partition("::test_")[2]: row["outcome"] for row in project.rows("results.jsonl")} == {
        "pass": "pass",
        "fail": "fail",
        "raises": "fail",
        "skipped": "unscored",
        "unscored": "unscored",
        "engine": "error",
        "setup": "error",
        "teardown": "error",
        "xfail": "fail",
        "xpass": "pass",
        "xpass_strict": "pass",
        "never": "unscored",
    }
    result.stdout.fnmatch_lines(["*1 unscored*"])


def test_a_verdict_says_everything_about_its_item(project):
    project.cases(1, tags={"op": "sum"}, cluster="k")
    project.suite(
        """
        import pytest
        @pytest.mark.cases("cases.jsonl")
        @pytest.mark.level1
        @pytest.mark.must_pass
        @pytest.mark.tags(area="json")
        def test_it(generation): assert generation.text == "no", "it is not no"
        """
    )
    result = project.run()
    [row] = project.rows("results.jsonl")
    assert row["run"] == project.runs[-1].name
    assert row["nodeid"] == "test_suite.py::test_it[c0]"
    assert row["test"] == "test_suite.py::test_it"
    assert row["case_id"] == "c0"
    assert row["suite"] == project.path.name
    assert sorted(row["marks"]) == ["level1", "must_pass"]
    assert row["tags"] == {"op": "sum", "area": "json"}
    assert row["cluster"] == "k"
    assert row["repeat"] == 0
    assert row["generation_key"]
    assert "it is not no" in row["reason"]
    assert row["seconds"] >= 0
    result.stdout.fnmatch_lines(["1 must-pass items did not pass:", "  test_suite.py::test_it[[]c0[]]"])


def test_a_refused_request_is_an_error_not_a_failure(project):
    project.fake(default="yes", refuse=["c1"])
    result = project.run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*case 'c1' got no reply: the prompt is too long*", "*2/2*100.0%*(+ 1 error)*"])
    assert project.outcomes()["test_suite.py::test_is_yes[c1]"] == "error"


def test_verdicts_reach_the_run_store(project):
    project.run()
    with RunStore(Home(project.path / ".harness").runs_db) as store:
        assert store.outcomes(project.runs[-1].name) == {"pass": 3}


def test_failures_hold_all_that_is_needed_to_run_them_again(project):
    project.fake(default="yes", replies={"c1": "no"})
    project.run()
    [failure] = project.rows("failures.jsonl")
    assert failure["verdict"]["nodeid"] == "test_suite.py::test_is_yes[c1]"
    assert failure["case"]["messages"][0]["content"] == "question 1"
    assert failure["generation"]["text"] == "no"


def test_junit_properties_name_case_and_run(project):
    project.run("--junit-xml=out.xml")
    cases = ElementTree.parse(project.path / "out.xml").getroot().iter("testcase")
    properties = [{p.get("name"): p.get("value") for p in case.iter("property")} for case in cases]
    assert properties == [{"case": f"c{i}", "run": project.runs[-1].name} for i in range(3)]


def test_tests_without_cases_leave_no_verdict(project):
    project.suite("def test_plain(): pass\n", "test_plain.py")
    project.run().assert_outcomes(passed=4)
    assert len(project.rows("results.jsonl")) == 3


def test_the_run_fixture_names_the_run(project):
    project.suite(
        """
        import pytest
        @pytest.mark.cases("cases.jsonl")
        def test_it(generation, run, adapter):
            assert run.folder.name == run.id
            assert run.label == "base tiny"
            assert run.mode == "greedy"
            assert adapter is None and run.adapter is None
        """
    )
    project.run().assert_outcomes(passed=3)


def test_a_failing_check_shows_whose_reply_it_was_and_how_it_begins(project):
    project.cases(1)
    project.fake(default="not JSON")
    project.suite(
        """
        import pytest
        from harness.checks import is_json
        @pytest.mark.cases("cases.jsonl")
        def test_it(generation): assert is_json(generation)
        """
    )
    result = project.run()
    shown = "is_json(Generation('c0', 'not JSON', 'stop'))"
    result.stdout.fnmatch_lines([f"*where * = {shown}"])
    [failure] = project.rows("failures.jsonl")
    assert shown in failure["verdict"]["reason"]
