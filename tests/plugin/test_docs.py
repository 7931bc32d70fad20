from pathlib import Path

from pytest_ftplugin.options import MARKS, OPTIONS, options_page

PAGE = Path(__file__).parents[2] / "docs" / "options.md"


def test_the_page_is_what_the_tables_say():
    how = "from pytest_ftplugin.options import options_page; print(options_page(), end='')"
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
