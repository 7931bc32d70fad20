TURNS = """
import pytest
from harness.types import Message
@pytest.mark.cases("cases.jsonl")
def test_second_turn(case, generation, engine):
    second = engine.follow_up(Message("assistant", generation.text), Message("user", "sure?"))
    assert second.text == "yes"
"""


def test_a_second_turn_is_asked_for_and_stored(project):
    project.suite(TURNS)
    project.run().assert_outcomes(passed=3)
    assert project.did("request") == 6
    project.run().assert_outcomes(passed=3)
    assert project.did("request") == 6, "second turns are found in the store like all others"
    assert project.did("start") == 1


def test_a_refused_second_turn_is_an_error(project):
    project.fake(default="yes", refuse=["c1+2"])
    project.suite(TURNS)
    project.run().assert_outcomes(passed=2, failed=1)
    assert project.outcomes()["test_suite.py::test_second_turn[c1]"] == "error"


def test_any_case_may_be_asked(project):
    project.suite(
        """
        from harness.types import Case, Message
        def test_free(engine):
            assert engine.reply(Case("mine", (Message("user", "hello"),))).text == "yes"
        def test_no_case(engine):
            engine.follow_up(Message("user", "hello"))
        """
    )
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*engine.follow_up continues a case, and this test has none*"])


def test_fixtures_without_a_model_say_how_to_name_one(project):
    project.suite("def test_it(engine): pass\ndef test_case(case): pass\n")
    result = project.run(base_only=False)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*`engine` needs a model: say which model to test: *", "*add @pytest.mark.cases(FILE)*"]
    )


def test_a_model_asked_for_too_late(project):
    project.suite("def test_it(request): request.getfixturevalue('adapter')\n")
    result = project.run()
    result.stdout.fnmatch_lines(["*`adapter` was asked for while tests run (getfixturevalue)*"])
