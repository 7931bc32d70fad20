"""What pytest users do to choose items works with cases."""


def test_keyword_node_id_and_mark(project):
    project.run("-k", "c1").assert_outcomes(passed=1, deselected=2)
    project.run("test_suite.py::test_is_yes[c2]").assert_outcomes(passed=1)
    project.run("-m", "level1").assert_outcomes(passed=3)
    project.run("-m", "level2").assert_outcomes(deselected=3)


def test_only_what_is_selected_is_asked_for(project):
    project.run("-k", "c1")
    assert project.did("request") == 1


def test_last_failed(project):
    project.fake(default="yes", replies={"c1": "no"})
    project.run()
    project.run("--lf").assert_outcomes(failed=1)


def test_stop_at_the_first_failure_closes_the_engine(project):
    project.fake(default="no", child=True)
    result = project.run("-x")
    result.assert_outcomes(failed=1)
    assert project.log[-1] == "close"
    assert len(project.rows("results.jsonl")) == 1


def test_a_partial_selection_is_recorded_as_such(project):
    import json

    project.run("-k", "c1")
    manifest = json.loads((project.runs[-1] / "manifest.json").read_text())
    assert manifest["partial_by"] == ["-k"]
    project.run()
    manifest = json.loads((project.runs[-1] / "manifest.json").read_text())
    assert manifest["partial_by"] == []


def test_cases_are_selected_by_their_tags(project):
    project.cases(2, tags={"op": "count"})
    project.cases(1, name="more.jsonl", tags={"op": "sum"})
    project.suite(
        """
        import pytest
        @pytest.mark.cases("cases.jsonl")
        def test_a(generation): pass
        @pytest.mark.cases("more.jsonl")
        def test_b(generation): pass
        """
    )
    project.run("-m", "tags(op='count')").assert_outcomes(passed=2, deselected=1)


def test_without_the_cache_plugin(project):
    project.run("-p", "no:cacheprovider").assert_outcomes(passed=3)


def test_a_list_of_node_ids(project):
    chosen = project.write("chosen.txt", "test_suite.py::test_is_yes[c0]\ntest_suite.py::test_is_yes[c9]\n\n")
    result = project.run("--ft-select", str(chosen))
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.fnmatch_lines(
        ["ft: not collected, though *chosen.txt names them: test_suite.py::test_is_yes[[]c9[]]"]
    )


def test_a_list_that_is_not_there(project):
    result = project.run("--ft-select", "gone.txt")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: cannot read the selection *gone.txt*"])


def test_the_run_file_names_the_run(project):
    import json

    project.run("--ft-run-file", "out/run.json")
    written = json.loads((project.path / "out" / "run.json").read_text())
    assert written["run"] == project.runs[-1].name
    assert written["folder"] == str(project.runs[-1])
