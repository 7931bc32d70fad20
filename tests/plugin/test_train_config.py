import json


def train(project, *args, **config):
    path = project.config(**config)
    return project.run(f"--train-config={path}", *args, base_only=False)


def test_the_adapter_is_trained_once_and_tested(project):
    result = train(project)
    result.assert_outcomes(passed=3)
    assert project.log[0] == "train 2", "training comes before the engine"
    assert project.did("start") == 1
    result.stdout.fnmatch_lines(
        ["ft: training config */train.yml", "*training on 2 rows, 2 steps*", "*step 1/2*loss 1.000*"]
    )


def test_nothing_changed_trains_nothing_and_serves_nothing(project):
    train(project)
    did = len(project.log)
    train(project).assert_outcomes(passed=3)
    assert project.log[did:] == ["close"]


def test_a_changed_value_trains_anew(project):
    train(project)
    train(project, learning_rate=0.002)
    assert project.did("train") == 2


def test_the_adapter_fixture_is_the_trained_one(project):
    project.suite(
        """
        import pytest
        @pytest.mark.cases("cases.jsonl")
        def test_it(generation, adapter, run):
            assert (adapter.path / "adapter_model.safetensors").exists()
            assert run.adapter == adapter
            assert adapter.content_hash
        """
    )
    train(project).assert_outcomes(passed=3)


def test_a_test_that_only_takes_the_adapter_trains_too(project):
    project.suite("def test_it(adapter): assert adapter.kind == 'lora'\n")
    train(project).assert_outcomes(passed=1)
    assert project.did("train") == 1
    assert project.did("start") == 0


def test_a_bad_config_is_a_usage_error_with_every_problem(project):
    path = project.config(learning_rat=0.1, num_epochs="many")
    result = project.run(f"--train-config={path}", base_only=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *", "*learning_rat*learning_rate*"])
    assert "num_epochs" in result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_config_that_is_not_there_is_a_usage_error(project):
    result = project.run("--train-config=gone.yml", base_only=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *gone.yml*"])


def test_bad_rows_are_a_usage_error_before_any_training(project):
    path = project.config()
    project.write("train.jsonl", '{"messages": []}\nnot json\n')
    result = project.run(f"--train-config={path}", base_only=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*train.jsonl:1*", "*train.jsonl:2*"])
    assert project.log == []


def test_failed_training_ends_the_session_with_its_own_exit_code(project):
    project.fake(fail_training=True)
    result = train(project)
    assert result.ret == 11
    result.stdout.fnmatch_lines(["ERROR: training failed", "the loss is not finite", "  | step 2: nan"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_collecting_trains_nothing(project):
    train(project, "--collect-only", "-q").stdout.fnmatch_lines(["test_suite.py::test_is_yes[[]c0[]]"])
    assert project.log == []


def test_set_overrides_a_value_and_shows_in_the_resolved_config(project):
    train(project, "--set", "learning_rate=0.005", "--set", "serve.dtype=float32")
    manifest = json.loads((project.runs[-1] / "manifest.json").read_text())
    assert manifest["config"]["learning_rate"] == 0.005
    assert manifest["config"]["serve"]["dtype"] == "float32"


def test_a_bad_override_is_a_usage_error(project):
    result = train(project, "--set", "learning_rat=1")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*learning_rat*"])


def test_data_replaces_the_data_sets(project):
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    project.write("other.jsonl", "".join(json.dumps(row | {"id": str(i)}) + "\n" for i in range(5)))
    train(project, "--data=other.jsonl").assert_outcomes(passed=3)
    assert "train 5" in project.log or "train 1" in project.log  # equal rows may count once
    manifest = json.loads((project.runs[-1] / "manifest.json").read_text())
    assert "other.jsonl" in json.dumps(manifest["config"]["datasets"])


def notes(result):
    return [line for line in result.outlines if "accepted, not used here" in line]


def test_keys_that_are_not_used_are_noted_once_on_a_cold_and_on_a_warm_run(project):
    for _ in range(2):
        [line] = notes(train(project, "-q", hub_model_id="me/mine"))
        assert line.startswith("ft: note: hub_model_id: accepted, not used here, because ")
        [note] = json.loads((project.runs[-1] / "manifest.json").read_text())["notes"]
        assert line == f"ft: note: {note}"
    assert project.did("train") == 1


def test_sessions_to_compare_with_and_xdist_workers_do_not_repeat_the_notes(project):
    path = project.config(hub_model_id="me/mine")
    result = project.run_apart(f"--train-config={path}", "--baseline=base", "-n2", base_only=False)
    result.assert_outcomes(passed=3)
    assert len(project.runs) == 2
    assert len(notes(result)) == 1
