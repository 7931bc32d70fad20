def fail_one(project):
    project.fake(default="yes", replies={"c1": "no"})
    project.run()
    return project.runs[-1] / "failures.jsonl"


def test_exactly_the_failures_run_again_without_a_model(project):
    failures = fail_one(project)
    started = project.did("start")
    result = project.run("--ft-replay", str(failures), base_only=False)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 'no' == 'yes'*", "*0/1*0.0%*"])
    assert project.did("start") == started
    assert len(project.runs) == 1, "a replay leaves no run of its own"


def test_the_recorded_case_replaces_the_files(project):
    failures = fail_one(project)
    (project.path / "cases.jsonl").unlink()
    project.run("--ft-replay", str(failures), base_only=False).assert_outcomes(failed=1)


def test_a_repaired_check_passes_on_the_recorded_reply(project):
    failures = fail_one(project)
    project.suite((project.path / "test_suite.py").read_text().replace('== "yes"', 'in ("yes", "no")'))
    result = project.run("--ft-replay", str(failures), base_only=False)
    result.assert_outcomes(passed=1)


def test_other_tests_are_deselected(project):
    failures = fail_one(project)
    project.suite("def test_plain(): pass\n", "test_plain.py")
    project.run("--ft-replay", str(failures), base_only=False).assert_outcomes(failed=1, deselected=1)


def test_a_test_that_is_gone_is_named(project):
    failures = fail_one(project)
    project.suite((project.path / "test_suite.py").read_text().replace("test_is_yes", "test_other"))
    result = project.run("--ft-replay", str(failures), base_only=False)
    result.stdout.fnmatch_lines(["ft: not collected, though *failures.jsonl names them: test_suite.py::test_is_yes*"])
    assert result.ret == 5


def test_a_second_turn_is_skipped_in_a_replay(project):
    project.suite(
        """
        import pytest
        from harness.types import Message
        @pytest.mark.cases("cases.jsonl")
        def test_it(generation, engine):
            engine.follow_up(Message("assistant", generation.text), Message("user", "sure?"))
            assert False
        """
    )
    project.run("-k", "c1")
    failures = project.runs[-1] / "failures.jsonl"
    project.run("--ft-replay", str(failures), base_only=False).assert_outcomes(skipped=1, deselected=0)


def test_files_that_are_not_failures(project):
    for text, said in (("", "holds no failure"), ('{"a": 1}\nnope\n', "has wrong lines")):
        path = project.write("f.jsonl", text)
        result = project.run("--ft-replay", str(path), base_only=False)
        assert result.ret == 4
        result.stderr.fnmatch_lines([f"ERROR: *f.jsonl {said}*"])
    result.stderr.fnmatch_lines(["*f.jsonl:1: not a failure record: KeyError*", "*f.jsonl:2: not a failure record*"])
    missing = project.run("--ft-replay", "gone.jsonl", base_only=False)
    assert missing.ret == 4
    missing.stderr.fnmatch_lines(["ERROR: cannot read the failures file *gone.jsonl*"])
