import pytest


def usage_error(project, *args):
    result = project.run(*args, base_only=False)
    assert result.ret == 4
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    return result.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ["--adapter", "a", "--endpoint", "http://x", "--model", "m"],
            "--adapter and --endpoint each name what to test*",
        ),
        (["--base-only"], "--base-only does not say which base: *"),
        (["--base-model", "b"], "--base-model alone: *"),
        (["--base-model", "b", "--endpoint", "http://x", "--model", "m"], "--base-model with --endpoint: *"),
        (["--base-model", "b", "--train-config", "c.yml"], "--base-model beside a training: *"),
        (["--endpoint", "http://x"], "--endpoint needs --model NAME*"),
        (["--model", "m"], "--model has no meaning without --endpoint"),
        (["--cache-endpoint"], "--cache-endpoint has no meaning without --endpoint"),
        (["--data", "d.jsonl"], "--data has no meaning without --train-config"),
        (["--set", "a=b"], "--set has no meaning without --train-config"),
        (["--engine", "vllm", "--generations", "g.jsonl"], "--engine with --generations: nothing is served*"),
        (["--baseline", "base", "--base-only", "--base-model", "b"], "--baseline base with --base-only: *"),
        (["--baseline", "base", "--ft-replay", "f.jsonl"], "--baseline base with --ft-replay: *"),
        (["--decode", "both", "--generations", "g.jsonl"], "--decode both with --generations: *"),
        (["--ft-repeats", "2", "--ft-replay", "f.jsonl"], "--ft-repeats with --ft-replay: *"),
    ],
)
def test_one_contradiction(project, args, said):
    usage_error(project, *args).fnmatch_lines(["ERROR: these options do not go together:", f"  {said}"])


def test_all_contradictions_are_listed_at_once(project):
    args = ("--model", "m", "--data", "d", "--ft-repeats", "0", "--base-only")
    lines = [line for line in usage_error(project, *args).lines if line.startswith("  ")]
    assert len(lines) == 4


def test_an_unknown_choice_is_told_by_pytest(project):
    usage_error(project, "--decode", "sampled").fnmatch_lines(["*invalid choice: 'sampled'*"])


def test_tests_without_cases_do_not_care(project):
    project.suite("def test_plain(): pass\n")
    project.run("--ft-repeats", "2", base_only=False).assert_outcomes(passed=1)
