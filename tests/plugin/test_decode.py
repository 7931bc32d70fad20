import json

SUITE = """
import pytest
@pytest.mark.cases("cases.jsonl")
@pytest.mark.grammar({})
def test_it(generation): assert generation.text == "yes"
"""
CHOICE = 'choice=["yes", "no"]'


def test_greedy_ignores_declared_grammars(project):
    project.suite(SUITE.format("colour=3"))
    project.run().assert_outcomes(passed=3)
    assert all(line.endswith("greedy False") for line in project.log if line.startswith("request"))


def test_grammar_reaches_the_engine(project):
    project.suite(SUITE.format(CHOICE))
    project.run("--decode", "grammar").assert_outcomes(passed=3)
    assert all(line.endswith("grammar True") for line in project.log if line.startswith("request"))


def test_both_is_two_runs_side_by_side(project):
    project.fake(default="no", grammar_replies={"c0": "yes", "c1": "yes"})
    project.suite(SUITE.format(CHOICE))
    result = project.run_apart("--decode", "both")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["passed*base tiny, greedy*base tiny, grammar", "*test_it*0/3*0.0%*2/3*66.7%*"])
    assert len(project.runs) == 2


def test_the_config_may_choose(project):
    project.suite(SUITE.format(CHOICE))
    path = project.config(decode={"mode": "grammar"})
    project.run("--train-config", str(path), "--base-only", base_only=False).assert_outcomes(passed=3)
    assert all(line.endswith("grammar True") for line in project.log if line.startswith("request"))


def test_files_are_relative_to_the_test_file(project):
    project.cases(name="sub/cases.jsonl")
    project.write("sub/schema.json", '{"type": "object", "properties": {"a": {"type": "integer"}}}')
    project.suite(SUITE.format('json="schema.json"'), "sub/test_sub.py")
    project.run("--decode", "grammar", "sub").assert_outcomes(passed=3)


def test_a_keyword_that_cannot_be_enforced_is_named(project):
    project.suite(SUITE.format('json={"type": "array", "uniqueItems": True}'))
    result = project.run("--decode", "grammar")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*uniqueItems*"])
    assert project.log == []


def test_wrong_marks_say_what_they_take(project):
    wrong = {
        "": "takes exactly one of json=, regex=, choice=, lark=; got nothing",
        "'x'": "takes exactly one of *got 'x'",
        "json={}, regex='a'": "takes exactly one of *got json=*, regex=*",
        "json='gone.json'": "cannot read the grammar file *gone.json*",
        "json='{broken'": "the inline schema is not JSON*",
        "json=3": "json= takes a schema file or a mapping; got 3",
        "regex=3": "regex= takes a pattern; got 3",
        "choice='abc'": "choice= takes a list of texts; got 'abc'",
        "choice=[]": "choice= takes a list of texts; got *",
        "lark='gone.lark'": "cannot read the grammar file *gone.lark*",
        "lark=3": "lark= takes a grammar file or the grammar itself; got 3",
    }
    for arguments, said in wrong.items():
        project.suite(SUITE.format(arguments))
        result = project.run("--decode", "grammar", "--collect-only")
        assert result.ret == 2, arguments
        result.stdout.fnmatch_lines([f"*{said}*"])


def test_lark_and_regex(project):
    project.write("g.lark", 'start: "yes" | "no"\n')
    for arguments in ('lark="g.lark"', "lark='start: \"yes\"'", 'regex="yes|no"'):
        project.suite(SUITE.format(arguments))
        project.run("--decode", "grammar").assert_outcomes(passed=3)


def test_a_case_may_bring_its_own(project):
    project.cases(1, grammar={"choice": ["a"]})
    project.suite(SUITE.format(CHOICE))
    project.run("--decode", "grammar")
    [failure] = project.rows("failures.jsonl") or [{"case": {"grammar": {"text": '["a"]'}}}]
    assert failure["case"]["grammar"]["text"] == '["a"]'


TWO_TESTS = """
import pytest
@pytest.mark.cases("cases.jsonl")
@pytest.mark.grammar(choice=["yes"])
def test_held(generation): pass
@pytest.mark.cases("others/cases.jsonl")
def test_free(generation): pass
"""


def test_cases_that_run_free_are_counted_in_summary_and_manifest(project):
    project.cases(3)
    project.cases(2, name="others/cases.jsonl")
    project.suite(TWO_TESTS, "suite/test_two.py")
    (project.path / "cases.jsonl").rename(project.path / "suite" / "cases.jsonl")
    (project.path / "others").rename(project.path / "suite" / "others")
    result = project.run("--decode", "grammar", "--ft-repeats=2", "suite")
    result.assert_outcomes(passed=10)
    result.stdout.fnmatch_lines(["grammar: 3 cases constrained, 2 without a grammar ran free (in suite)"])
    manifest = json.loads((project.runs[-1] / "manifest.json").read_text())
    assert manifest["grammar"] == {"constrained": 3, "free": 2, "free_suites": ["suite"]}


def test_the_configs_grammar_counts_for_cases_that_declare_none(project):
    path = project.config(decode={"mode": "grammar", "grammar": {"choice": ["yes"]}})
    result = project.run(f"--train-config={path}", "--base-only", base_only=False)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["grammar: 3 cases constrained"])


def test_without_guided_decoding_nothing_is_said_of_grammars(project):
    project.suite(SUITE.format(CHOICE))
    assert "grammar:" not in project.run().stdout.str()
    assert "grammar" not in json.loads((project.runs[-1] / "manifest.json").read_text())


def test_no_grammar_at_all_is_a_usage_error_before_anything_runs(project):
    for args in (["--decode=grammar"], ["--decode=both"], ["--decode=grammar", "-n2"]):
        result = project.run(*args)
        assert result.ret == 4, args
        said = result.stderr.str()
        assert f"{args[0].replace('=', ' ')}, but none of the 3 selected cases has a grammar" in said
        assert "@pytest.mark.grammar(json=" in said
        assert "Traceback" not in said
    assert project.log == []


def test_a_config_that_asks_for_grammars_where_there_are_none(project):
    path = project.config(decode={"mode": "grammar"})
    result = project.run(f"--train-config={path}", base_only=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*the config says decode.mode: grammar, but none of the 3*"])
    assert project.did("train") == 0


def test_a_keyword_in_the_configs_grammar_that_cannot_be_enforced_is_named(project):
    schema = {"type": "array", "uniqueItems": True}
    path = project.config(decode={"mode": "grammar", "grammar": {"json": schema}})
    result = project.run(f"--train-config={path}", base_only=False)
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*decode.grammar of the config: *", "*uniqueItems*"])
    assert project.log == []
