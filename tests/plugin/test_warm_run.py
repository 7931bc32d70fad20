import json
import os


def imported(project):
    return {name.partition(".")[0] for name in json.loads((project.path / "modules.json").read_text())}


HEAVY = {"torch", "transformers", "openai", "vllm", "peft", "accelerate", "datasets", "outlines", "xgrammar", "pyarrow"}


def test_a_warm_run_imports_nothing_heavy_and_starts_nothing(project):
    path = project.config()
    project.fake(default="yes", report_modules=True, wants_ids=True)
    project.run_apart(f"--train-config={path}", base_only=False).assert_outcomes(passed=3)
    did = len(project.log)
    (project.path / "modules.json").unlink()
    result = project.run_apart(f"--train-config={path}", base_only=False)
    result.assert_outcomes(passed=3)
    assert project.log[did:] == ["close"]
    assert imported(project).isdisjoint(HEAVY | {"tokenizers", "llguidance", "rich"})
    result.stdout.fnmatch_lines(["ft: run *: *: 3 replies, 3 from the store"])


def test_a_cold_run_keeps_the_heavy_ones_out_of_this_process_too(project):
    project.fake(default="yes", report_modules=True, wants_ids=True)
    project.run_apart().assert_outcomes(passed=3)
    assert imported(project).isdisjoint(HEAVY)


def test_a_comment_in_the_config_changes_nothing_and_one_changed_case_asks_for_one_reply(project):
    path = project.config()
    project.run(f"--train-config={path}", base_only=False)
    path.write_text("# a comment\n" + path.read_text())
    project.run(f"--train-config={path}", base_only=False).assert_outcomes(passed=3)
    assert (project.did("train"), project.did("request")) == (1, 3)
    cases = project.path / "cases.jsonl"
    cases.write_text(cases.read_text().replace("question 1", "question one"))
    project.run(f"--train-config={path}", base_only=False).assert_outcomes(passed=3)
    assert (project.did("train"), project.did("request")) == (1, 4)


def test_another_engine_asks_anew(project):
    project.run()
    project.fake(default="yes", version=2)
    project.run().assert_outcomes(passed=3)
    assert project.did("request") == 6


def test_home_and_reports_go_where_they_are_told(project, monkeypatch):
    project.run("--ft-home=kept", "--ft-reports=out/reports").assert_outcomes(passed=3)
    assert (project.path / "kept").is_dir()
    assert not (project.path / ".harness").exists()
    assert len(os.listdir(project.path / "out" / "reports")) == 1
    monkeypatch.setenv("HARNESS_HOME", str(project.path / "kept"))
    project.run().assert_outcomes(passed=3)
    assert project.did("request") == 3
