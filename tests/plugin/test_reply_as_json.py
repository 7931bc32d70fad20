"""``generation.json`` of a reply that is none: a failure of the test, shown at the test's own line."""

import pytest


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ('{"a": 1', "the reply is not JSON: Expecting ',' delimiter: line 1 column 8 (char 7)"),
        ("[" * 100_000, "the reply is not JSON that can be read: it is nested too deeply"),
        ("1" * 5000, "the reply is not JSON: Exceeds the limit (4300 digits)"),
    ],
    ids=["malformed", "nested", "digits"],
)
def test_what_is_shown_is_the_line_of_the_test_and_the_reply(project, reply, said):
    project.cases(1)
    project.fake(default=reply)
    project.suite(
        """
        import pytest

        @pytest.mark.cases("cases.jsonl")
        def test_it(generation):
            assert generation.json == {"a": 1}
        """
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    shown = result.stdout.str()
    assert '>       assert generation.json == {"a": 1}' in shown
    assert f"E       AssertionError: {said}" in shown
    assert reply[:100] in shown
    assert reply[:1000] not in shown or len(reply) < 1000
    assert "types.py" not in shown
    assert "functools.py" not in shown
    assert set(project.outcomes().values()) == {"fail"}
