def test_every_repeat_is_an_item_with_a_reply_of_its_own(project):
    result = project.run("--ft-repeats", "3", "-v")
    result.assert_outcomes(passed=9)
    result.stdout.fnmatch_lines(
        ["*[[]c0[]] PASSED*", "*[[]c0@2[]] PASSED*", "*[[]c0@3[]] PASSED*", "*[[]c1[]] PASSED*"]
    )
    assert project.did("request") == 9
    assert [row["repeat"] for row in project.rows("results.jsonl")] == [0, 1, 2] * 3


def test_more_repeats_later_keep_the_first(project):
    project.run()
    project.run("--ft-repeats", "2").assert_outcomes(passed=6)
    assert project.did("request") == 6


def test_a_repeat_is_selected_by_its_id(project):
    project.run("--ft-repeats", "2", "test_suite.py::test_is_yes[c1@2]").assert_outcomes(passed=1)


def test_no_repeat_is_a_usage_error(project):
    result = project.run("--ft-repeats", "0")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--ft-repeats is 0; it is a whole number from 1*"])
