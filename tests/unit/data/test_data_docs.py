"""The page on data names what there is."""

import re
from pathlib import Path

from harness.data.chat_templates import template_names
from harness.data.files import KINDS
from harness.data.formats import FORMATS

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text("utf-8")


def test_all_formats_are_listed_with_the_fields_they_read():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE))
    assert set(rows) == {known.name for known in FORMATS}
    for known in FORMATS:
        if known.name != "tool_calls":
            assert all(f"`{field}`" in rows[known.name] for field in known.uses - {"system", "tools"})


def test_all_templates_and_suffixes_are_listed():
    assert all(f"`{name}`" in PAGE for name in (*template_names(), *KINDS))


def test_the_example_runs(tmp_path):
    from harness.data import DataSet, load_samples

    code = PAGE.split("```python\n")[1].split("```")[0]
    (tmp_path / "mine.py").write_text(code)
    (tmp_path / "rows.jsonl").write_text('{"question": "q", "answer": "a"}\n{"question": "q", "answer": ""}\n')
    loaded = load_samples([DataSet(str(tmp_path / "rows.jsonl"), "mine.py:convert")], folder=tmp_path).require()
    assert (len(loaded.samples), loaded.counts["skipped: no answer"]) == (1, 1)
