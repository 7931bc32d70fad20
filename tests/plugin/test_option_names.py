"""Options have a second name; a project whose conftest.py uses the first is told so, and can have both."""

from pytest_ftplugin.options import OPTIONS, PREFIXED

TAKES_MODEL = """
def pytest_addoption(parser):
    parser.addoption("--model", default="none")
    parser.addoption("--adapter", action="store_true")
"""
OWN_OPTION = """
import pytest

@pytest.mark.cases("cases.jsonl")
def test_it(generation, pytestconfig):
    assert (generation.text, pytestconfig.getoption("--model")) == ("yes", "own")
"""


def leave_names(project):
    """Give the project's own conftest.py options with names of ours."""
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text() + TAKES_MODEL)
    project.pytester.makeini(f"[pytest]\n{PREFIXED}\n")


def test_a_conftest_that_adds_an_option_of_ours_is_a_usage_error_with_the_way_out(pytester):
    pytester.makeconftest(TAKES_MODEL)
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_inprocess()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: */conftest.py:2 adds the option --model, *", f"*{PREFIXED}*--ft-model*"])
    assert "Traceback" not in result.stderr.str()


def test_a_conftest_that_adds_an_option_of_pytest_is_left_to_pytest(pytester):
    pytester.makeconftest("def pytest_addoption(parser): parser.addoption('--maxfail', dest='own')")
    result = pytester.runpytest_subprocess()
    assert "conflicting option string: --maxfail" in result.stderr.str()
    assert "ft-harness" not in result.stderr.str()


def test_with_second_names_only_the_others_are_free_and_the_plugin_works(project):
    leave_names(project)
    project.suite(OWN_OPTION)
    base = ["--ft-base-only", f"--ft-base-model={project.base}"]
    result = project.run_apart(*base, "--model=own", "--ft-repeats=2", base_only=False)
    result.assert_outcomes(passed=6)
    assert len(project.rows("results.jsonl")) == 6


def test_with_second_names_only_the_baseline_runs_too(project):
    leave_names(project)
    args = [f"--ft-adapter={project.trained()}", "--ft-baseline=base", "-n2"]
    project.run_apart(*args, base_only=False).assert_outcomes(passed=3)
    assert len(project.runs) == 2


def test_every_option_may_be_given_by_its_second_name(project):
    project.run("--ft-base-only", f"--ft-base-model={project.base}", base_only=False).assert_outcomes(passed=3)
    shown = project.run("--help", base_only=False).stdout.str()
    assert [option.prefixed for option in OPTIONS if option.prefixed not in shown] == []
