ENDPOINT = ("--endpoint", "http://localhost:1/v1", "--model", "m")


def test_an_endpoint_is_tested_without_a_base(project):
    result = project.run(*ENDPOINT, base_only=False)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["ft: m at http://localhost:1/v1", "*m at http://localhost:1/v1*"])


def test_a_finished_runs_replies_are_not_reused(project):
    project.run(*ENDPOINT, base_only=False)
    project.run(*ENDPOINT, base_only=False).assert_outcomes(passed=3)
    assert project.did("request") == 6


def test_unless_that_is_asked_for(project):
    project.run(*ENDPOINT, "--cache-endpoint", base_only=False)
    project.run(*ENDPOINT, "--cache-endpoint", base_only=False).assert_outcomes(passed=3)
    assert project.did("request") == 3
    assert project.did("start") == 1
