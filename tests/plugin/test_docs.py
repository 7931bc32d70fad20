import json
from pathlib import Path

import pytest

import pytest_ftplugin
from harness.errors import EngineError, TrainingError
from pytest_ftplugin import hookspecs
from pytest_ftplugin.options import MARKS, OPTIONS
from pytest_ftplugin.page import EXIT_CODES, FIXTURES, HOOKS, SECOND_TURN, options_page

PAGE = Path(__file__).parents[2] / "docs" / "options.md"


def test_the_page_is_what_the_tables_say():
    how = "from pytest_ftplugin.page import options_page; print(options_page(), end='')"
    assert PAGE.read_text(encoding="utf-8") == options_page(), f'python -c "{how}" > docs/options.md'


def test_the_parser_has_the_options_of_the_page(pytester):
    text = " ".join(" ".join(pytester.runpytest_inprocess("--help").outlines).split())
    for option in OPTIONS:
        assert option.flag in text
        assert option.ini is None or option.ini in text


def test_pytest_knows_the_marks_of_the_page(pytester):
    text = pytester.runpytest_inprocess("--markers").stdout.str()
    for mark in MARKS:
        assert f"@pytest.mark.{mark.signature}" in text


def test_the_page_has_every_fixture_every_hook_and_every_exit_code():
    assert set(FIXTURES) == set(pytest_ftplugin.__all__)
    assert set(HOOKS) == {name for name in vars(hookspecs) if name.startswith("pytest_")}
    assert set(EXIT_CODES) >= {*pytest.ExitCode, TrainingError.exit_code, EngineError.exit_code}


def add_to_conftest(project, text):
    path = project.path / "conftest.py"
    path.write_text(f"{path.read_text()}\n{text}")


def test_the_second_turn_of_the_page_runs(project):
    project.suite(SECOND_TURN)
    project.run().assert_outcomes(passed=3)
    assert project.did("request") == 6


def test_the_trainer_of_the_page_trains(project):
    add_to_conftest(project, HOOKS["pytest_ft_trainer"])
    project.write(
        "my_trainer.py",
        """
from conftest import write_adapter
def fit(base, base_ref, rows, out):
    assert all(len(row.input_ids) == len(row.labels) for row in rows)
    write_adapter(out, base_ref, 0.5)
    return 7
""",
    )
    project.run(f"--train-config={project.config()}", base_only=False).assert_outcomes(passed=3)
    manifest = json.loads((project.runs[-1] / "manifest.json").read_text())
    assert manifest["training"]["steps"] == 7


def test_the_engine_of_the_page_serves(project):
    add_to_conftest(project, HOOKS["pytest_ft_engine"])
    project.suite((project.path / "test_suite.py").read_text().replace('"yes"', "case.messages[0].content"))
    project.run().assert_outcomes(passed=3)
    path = project.trained()
    project.run(f"--adapter={path}", base_only=False).assert_outcomes(passed=3)


def test_the_end_of_a_run_of_the_page_is_told(project):
    project.fake(default="yes", replies={"c1": "no"})
    add_to_conftest(project, HOOKS["pytest_ft_run_finished"])
    project.run()
    told = json.loads((project.runs[-1] / "failed.json").read_text())
    assert told == {"run": project.runs[-1].name, "failed": ["test_suite.py::test_is_yes[c1]"]}
