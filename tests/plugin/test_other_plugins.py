import importlib.util
import sys

import pytest

FAKE_RERUNS = """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl
def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(3):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not any(report.failed for report in reports) or attempt == 2:
            for report in reports:
                item.ihook.pytest_runtest_logreport(report=report)
            break
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""
FLAKY = """
import pytest
count = 0
@pytest.mark.cases("cases.jsonl")
def test_model(generation):
    global count
    count += 1
    assert count > 1
plain = 0
def test_plain():
    global plain
    plain += 1
    assert plain > 1
"""


def test_a_model_is_not_run_again_until_it_passes(project):
    project.cases(1)
    project.suite(FLAKY)
    project.write("rerunfailures.py", FAKE_RERUNS)
    conftest = project.path / "conftest.py"
    conftest.write_text(
        conftest.read_text() + "\nimport rerunfailures\ndef pytest_configure(config):\n"
        "    config.pluginmanager.register(rerunfailures, 'rerunfailures')\n"
    )
    project.run().assert_outcomes(passed=1, failed=1)
    assert project.outcomes() == {"test_suite.py::test_model[c0]": "fail"}


@pytest.mark.skipif(
    importlib.util.find_spec("pytest_rerunfailures") is None, reason="pytest-rerunfailures is not installed"
)
def test_the_real_rerunfailures(project):
    project.cases(1)
    project.suite(FLAKY)
    project.run("--reruns", "2").assert_outcomes(passed=1, failed=1)


def test_without_the_terminal(project):
    result = project.run_apart("-p", "no:terminal")
    assert result.ret == 0
    assert len(project.rows("results.jsonl")) == 3


def test_in_a_folder_that_is_not_the_root(project):
    project.cases(1, name="deep/er/cases.jsonl")
    project.suite(name="deep/er/test_deep.py")
    project.run("deep").assert_outcomes(passed=1)
    assert project.rows("results.jsonl")[0]["suite"] == "er"


def test_no_option_is_taken_by_plugins_that_are_installed(pytester):
    assert pytester.run(sys.executable, "-m", "pytest", "--version").ret == 0
