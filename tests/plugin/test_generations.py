import json


def replies(project, *rows):
    return str(project.write("replies.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))


def test_replies_made_elsewhere_are_judged_without_a_model(project):
    path = replies(
        project, {"id": "c0", "text": "yes"}, {"case_id": "c1", "reply": "no"}, {"id": "c2", "output": "yes"}
    )
    result = project.run("--generations", path, base_only=False)
    result.assert_outcomes(passed=2, failed=1)
    assert project.did("start") == 0


def test_a_missing_reply_is_an_error(project):
    result = project.run("--generations", replies(project, {"id": "c0", "text": "yes"}), base_only=False)
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*holds no reply for case 'c1'*"])


def test_replies_that_belong_to_no_case_are_named(project):
    path = replies(project, {"id": "c0", "text": "yes"}, {"id": "x1", "text": "a"}, {"id": "x2", "text": "b"})
    result = project.run("--generations", path, base_only=False)
    result.stdout.fnmatch_lines(["ft: *replies.jsonl: 2 replies belong to no selected case: x1, x2"])


def test_bad_rows_are_a_usage_error_that_names_all_of_them(project):
    path = replies(project, {"id": "c0"}, {"text": "yes"}, {"id": "c1", "text": "a"}, {"id": "c1", "text": "b"})
    result = project.run("--generations", path, base_only=False)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*replies.jsonl:1*", "*replies.jsonl:2*", "*replies.jsonl:4*"])


def test_repeats_are_told_apart(project):
    project.cases(1)
    path = replies(project, {"id": "c0", "text": "yes"}, {"id": "c0", "text": "no", "repeat": 1})
    project.run("--generations", path, "--ft-repeats", "2", base_only=False).assert_outcomes(passed=1, failed=1)


def test_two_cases_that_ask_the_same_keep_their_own_replies(project):
    rows = [{"id": name, "messages": [{"role": "user", "content": "same"}]} for name in ("c0", "c1")]
    project.write("cases.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    path = replies(project, {"id": "c0", "text": "yes"}, {"id": "c1", "text": "no"})
    project.run("--generations", path, base_only=False).assert_outcomes(passed=1, failed=1)


def test_a_changed_file_is_read_anew(project):
    rows = [{"id": f"c{i}", "text": "yes"} for i in range(3)]
    project.run("--generations", replies(project, *rows), base_only=False).assert_outcomes(passed=3)
    rows[1]["text"] = "no"
    project.run("--generations", replies(project, *rows), base_only=False).assert_outcomes(passed=2, failed=1)


def test_generations_of_a_run_are_taken_as_they_are(project):
    project.fake(default="yes", replies={"c1": "no"})
    project.run()
    failures = project.runs[-1] / "failures.jsonl"
    project.run("--generations", str(failures), "-k", "c1", base_only=False).assert_outcomes(failed=1, deselected=2)


def test_a_reply_that_failed_several_tests_is_one_reply(project):
    project.fake(default="no")
    suite = (project.path / "test_suite.py").read_text()
    project.suite(f"{suite}\ndef test_is_good(generation):\n    assert generation.text == 'good'\n")
    project.run().assert_outcomes(failed=6)
    failures = project.runs[-1] / "failures.jsonl"
    project.run(f"--generations={failures}", base_only=False).assert_outcomes(failed=6)


def test_messages_count_repeats_as_the_items_do(project):
    project.cases(1)
    path = replies(project, {"id": "c0", "text": "yes"})
    result = project.run("--generations", path, "--ft-repeats", "2", base_only=False)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*holds no reply for case 'c0', repeat 2 (\"repeat\": 1 in the file)*"])

    twice = [{"id": "c0", "text": text, "repeat": 1} for text in ("yes", "no")]
    result = project.run("--generations", replies(project, *twice), base_only=False)
    result.stderr.fnmatch_lines(["*a second reply for case 'c0', repeat 2 (\"repeat\": 1 in the file)*"])
