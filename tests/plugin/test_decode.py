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
    result.stdout.fnmatch_lines(["passed*base tiny, greedy*base tiny, grammar", "*test_it*0/3*0.0%*2/3*66.7%"])
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
