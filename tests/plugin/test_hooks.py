def test_the_end_of_a_run_is_told(project):
    conftest = project.path / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + """
def pytest_ft_run_finished(config, run_id, folder, verdicts):
    log(f"finished {folder.name == run_id} {(folder / 'results.jsonl').exists()} {len(verdicts)}")
"""
    )
    project.run()
    assert "finished True True 3" in project.log


def test_a_hook_may_leave_the_choice_to_the_next(project):
    project.write("sub/conftest.py", "")
    conftest = project.path / "conftest.py"
    conftest.write_text(
        conftest.read_text() + "\nclass First:\n    def pytest_ft_engine(self): return None\n"
        "\ndef pytest_configure(config): config.pluginmanager.register(First())\n"
    )
    project.run().assert_outcomes(passed=3)
    assert project.did("start") == 1
