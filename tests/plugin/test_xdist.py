import json


def test_one_engine_for_all_workers(project):
    project.cases(8)
    result = project.run_apart("-n", "2")
    result.assert_outcomes(passed=8)
    assert project.did("start") == 1
    assert project.did("generate") == 1
    assert project.log[-1] == "close"
    assert len(project.runs) == 1
    assert len(project.rows("results.jsonl")) == 8
    result.stdout.fnmatch_lines(["*test_is_yes*8/8*100.0%*"])


def test_training_happens_once_in_the_controller(project):
    path = project.config()
    project.suite(
        """
        import pytest
        @pytest.mark.cases("cases.jsonl")
        def test_it(generation, adapter): assert adapter.content_hash
        """
    )
    result = project.run_apart(f"--train-config={path}", "-n", "2", base_only=False)
    result.assert_outcomes(passed=3)
    assert project.did("train") == 1


def test_failures_and_errors_are_recorded_by_the_controller(project):
    project.fake(default="yes", replies={"c1": "no"}, refuse=["c2"])
    result = project.run_apart("-n", "2", "--junit-xml=out.xml")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    assert project.outcomes() == {
        "test_suite.py::test_is_yes[c0]": "pass",
        "test_suite.py::test_is_yes[c1]": "fail",
        "test_suite.py::test_is_yes[c2]": "error",
    }
    [failure] = project.rows("failures.jsonl")
    assert failure["generation"]["text"] == "no"
    assert failure["case"]["id"] == "c1"
    assert f'name="run" value="{project.runs[-1].name}"' in (project.path / "out.xml").read_text()


def test_other_ways_to_distribute(project):
    for dist in ("loadfile", "worksteal", "loadgroup"):
        project.run_apart("-n", "2", "--dist", dist).assert_outcomes(passed=3)
    assert project.did("start") == 1


def test_second_turns_go_through_the_controller(project):
    project.suite(
        """
        import pytest
        from harness.types import Message
        @pytest.mark.cases("cases.jsonl")
        def test_it(case, generation, engine):
            assert engine.follow_up(Message("assistant", generation.text), Message("user", "sure?")).text == "yes"
        """
    )
    project.fake(default="yes", refuse=["c2+2"])
    result = project.run_apart("-n", "2")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*case 'c2+2' got no reply: the prompt is too long*"])
    assert project.did("start") == 1


def test_a_worker_that_crashes_is_an_error_of_its_item(project):
    project.suite(
        """
        import os, pytest
        @pytest.mark.cases("cases.jsonl")
        def test_it(case, generation):
            if case.id == "c1": os.kill(os.getpid(), 9)
        """
    )
    result = project.run_apart("-n", "2")
    assert result.ret == 1
    assert project.outcomes()["test_suite.py::test_it[c1]"] == "error"
    assert project.outcomes()["test_suite.py::test_it[c2]"] == "pass"
    assert project.log[-1] == "close"


def test_stop_at_the_first_failure(project):
    project.cases(20)
    project.fake(default="no", child=True)
    result = project.run_apart("-n", "2", "-x")
    assert result.ret in (1, 2)
    assert project.log[-1] == "close"


def test_cases_without_a_model(project):
    result = project.run_apart("-n", "2", base_only=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: 3 collected items ask for a model's replies, but no model is named*"])


def test_a_bad_case_file(project):
    project.write("cases.jsonl", "not json\n")
    result = project.run_apart("-n", "2")
    assert result.ret in (1, 2)
    result.stdout.fnmatch_lines(["*cases.jsonl:1*"])
    assert project.log == []


def test_a_collection_error_elsewhere_keeps_the_engine_down(project):
    project.suite("import nothing_of_this_name\n", "test_broken.py")
    result = project.run_apart("-n", "2")
    assert result.ret == 2
    assert project.log == []
    assert "INTERNALERROR" not in result.stdout.str()


def test_failed_training_and_a_failed_engine(project):
    project.fake(fail_start=True)
    result = project.run_apart("-n", "2")
    assert result.ret == 12
    result.stdout.fnmatch_lines(["the fake engine did not come up"])
    assert "INTERNALERROR" not in result.stdout.str()
    project.fake(fail_training=True)
    assert project.run_apart(f"--train-config={project.config()}", "-n", "2", base_only=False).ret == 11


def test_a_bad_config_of_the_ini_file(project):
    project.pytester.makeini("[pytest]\nft_train_config = gone.yml\n")
    result = project.run_apart("-n", "2", base_only=False)
    assert result.ret == 4
    assert "gone.yml" in result.stderr.str()


def test_a_replay(project):
    project.fake(default="yes", replies={"c1": "no"})
    project.run()
    failures = project.runs[-1] / "failures.jsonl"
    result = project.run_apart(f"--ft-replay={failures}", "-n", "2", base_only=False)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*0/1*0.0%*"])


def test_grammars_are_checked_in_the_workers(project):
    project.suite(
        """
        import pytest
        @pytest.mark.cases("cases.jsonl")
        @pytest.mark.grammar(choice=["yes"])
        def test_it(generation): assert generation.decoding.mode == "grammar"
        """
    )
    project.run_apart("-n", "2", "--decode", "grammar").assert_outcomes(passed=3)
    assert all(line.endswith("grammar True") for line in project.log if line.startswith("request"))


def test_no_worker_at_all(project):
    project.run_apart("-n", "0").assert_outcomes(passed=3)


def test_a_warm_run_starts_nothing(project):
    project.run()
    did = project.did("start")
    project.run_apart("-n", "2").assert_outcomes(passed=3)
    assert project.did("start") == did


def test_plain_tests_run_beside(project):
    project.suite("import pytest\n@pytest.mark.parametrize('i', range(4))\ndef test_plain(i): pass\n", "test_plain.py")
    project.run_apart("-n", "2").assert_outcomes(passed=7)
    assert json.loads((project.runs[-1] / "manifest.json").read_text())["status"] == "finished"
