def test_every_case_is_an_item_and_every_reply_is_asked_for_once(project):
    result = project.run("-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*test_suite.py::test_is_yes[[]c0[]] PASSED*"])
    assert project.did("start") == 1
    assert project.did("generate") == 1, "all missing replies go out together"
    assert project.did("request") == 3
    assert project.log[-1] == "close"


def test_two_tests_over_the_same_cases_share_their_replies(project):
    project.suite(
        """
        import pytest
        pytestmark = pytest.mark.cases("cases.jsonl")
        def test_one(generation): assert generation.text == "yes"
        def test_two(generation): assert generation.text == "yes"
        """
    )
    project.run().assert_outcomes(passed=6)
    assert project.did("request") == 3


def test_a_wrong_reply_is_a_failure_and_the_table_counts_it(project):
    project.fake(default="yes", replies={"c1": "no"})
    result = project.run()
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*- model -*", "*passed*base tiny", "*test_is_yes*2/3*66.7%*", "run 2*: */reports/2*"])


def test_the_header_says_what_is_tested(project):
    project.run().stdout.fnmatch_lines(["ft: base model */tiny"])


def test_the_base_of_the_config_is_tested_if_no_other_is_named(project):
    path = project.config()
    project.run("--train-config", str(path), "--base-only", base_only=False).assert_outcomes(passed=3)


def test_a_base_that_is_not_there_is_a_usage_error(project):
    result = project.run("--base-only", "--base-model", "./nowhere", base_only=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: the base model is not there*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert project.did("start") == 0
