import json


def test_the_base_runs_first_on_the_same_selection(project):
    project.fake(default="yes", base_replies={"c0": "no", "c1": "no"})
    path = project.trained()
    result = project.run_apart("--adapter=" + str(path), "--baseline", "base", "-k", "c0 or c2", base_only=False)
    result.assert_outcomes(passed=2, deselected=1)
    result.stdout.fnmatch_lines(
        ["ft: first, the same selection: base", "  base | *", "passed*base tiny*adapter*", "*1/2*50.0%*2/2*100.0%*"]
    )
    first, _ = project.runs
    assert json.loads((first / "manifest.json").read_text())["status"] == "finished"
    assert project.outcomes(0) == {"test_suite.py::test_is_yes[c0]": "fail", "test_suite.py::test_is_yes[c2]": "pass"}
    assert len(project.rows("results.jsonl", 1)) == 2


def test_it_is_not_cut_short_by_maxfail_nor_does_it_touch_this_sessions_files(project):
    project.fake(default="yes", base_replies={f"c{i}": "no" for i in range(3)})
    path = project.trained()
    args = ("--adapter=" + str(path), "--baseline", "base", "-x", "--junit-xml=out.xml")
    result = project.run_apart(*args, base_only=False)
    result.assert_outcomes(passed=3)
    assert set(project.outcomes(0).values()) == {"fail"}
    assert len(project.outcomes(0)) == 3
    assert 'tests="3"' in (project.path / "out.xml").read_text()
    project.run("--adapter=" + str(path), "--lf", base_only=False).assert_outcomes(passed=3)


def test_with_xdist(project):
    path = project.trained()
    args = ("--adapter=" + str(path), "--baseline", "base", "-n", "2")
    result = project.run_apart(*args, base_only=False)
    result.assert_outcomes(passed=3)
    assert project.did("start") == 2


def test_both_decodings_of_both_models(project):
    project.cases(grammar={"choice": ["yes", "no"]})
    path = project.trained()
    result = project.run_apart("--adapter=" + str(path), "--baseline", "base", "--decode", "both", base_only=False)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["passed*base tiny, greedy*base tiny, grammar*adapter*, greedy*adapter*, grammar"])
    assert len(project.runs) == 4


def test_a_baseline_that_fails_ends_the_session_with_its_exit_code(project):
    path = project.trained()
    project.fake(fail_start=True)
    result = project.run_apart("--adapter=" + str(path), "--baseline", "base", base_only=False)
    assert result.ret == 12
    result.stdout.fnmatch_lines(
        ["*the fake engine did not come up*", "*the session over the base ended with exit code 12*"]
    )
