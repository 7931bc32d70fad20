import json


def test_an_engine_that_does_not_come_up(project):
    project.fake(fail_start=True)
    result = project.run()
    assert result.ret == 12
    result.stdout.fnmatch_lines(["ERROR: the engine failed", "the fake engine did not come up", "  | its last words"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert project.log[-1] == "close"


def test_an_engine_that_dies_half_way_keeps_what_landed(project):
    project.fake(default="yes", die_after=2)
    assert project.run().ret == 12
    project.fake(default="yes")
    project.run().assert_outcomes(passed=3)
    assert project.did("request") == 3, "two before it died, one after"


def test_the_run_is_recorded_as_failed(project):
    project.fake(default="yes", die_after=1)
    project.run()
    assert json.loads((project.runs[-1] / "manifest.json").read_text())["status"] == "failed"


def test_an_engine_that_dies_in_a_second_turn_sets_the_exit_code(project):
    project.suite(
        """
        import json, pathlib, pytest
        from harness.types import Message
        @pytest.mark.cases("cases.jsonl")
        def test_it(case, generation, engine):
            pathlib.Path("fake.json").write_text(json.dumps({"die_after": 0}))
            engine.follow_up(Message("user", "more"))
        """
    )
    result = project.run()
    assert result.ret == 12
    assert set(project.outcomes().values()) == {"error"}


def test_the_engine_option_reaches_the_job(project):
    project.suite("def test_it(pytestconfig, run): pass\n")
    result = project.run("--engine", "transformers")
    result.assert_outcomes(passed=1)
