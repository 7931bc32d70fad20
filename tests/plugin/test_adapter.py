def test_an_adapter_is_tested_on_the_base_it_names(project):
    path = project.trained()
    result = project.run(f"--adapter={path}", base_only=False)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines([f"ft: adapter {path}", "passed*adapter * on tiny*"])
    assert project.did("train") == 0


def test_another_adapter_at_the_same_path_is_asked_anew(project):
    project.run(f"--adapter={project.trained()}", base_only=False)
    project.run(f"--adapter={project.trained()}", base_only=False)
    assert project.did("request") == 3
    project.run(f"--adapter={project.trained(value=0.25)}", base_only=False)
    assert project.did("request") == 6


def test_base_only_tests_the_base_of_the_adapter(project):
    path = project.trained()
    result = project.run(f"--adapter={path}", "--base-only", base_only=False)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["passed*base tiny*"])


def test_a_folder_that_is_no_adapter_is_a_usage_error(project):
    (project.path / "empty").mkdir()
    result = project.run("--adapter=empty", f"--base-model={project.base}", base_only=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: */empty is not an adapter that can be used*"])
    assert "Traceback" not in result.stderr.str()
