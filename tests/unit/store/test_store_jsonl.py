from __future__ import annotations

import json

import pytest

from harness.errors import StoreError
from harness.store import JsonlWriter, read_jsonl, write_jsonl
from harness.types import Verdict

VERDICT = Verdict("r", "t.py::a[1]", "a", "1", "s", "fail", reason="ä\n\ud800")


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "deep" / "results.jsonl"
    with JsonlWriter(path) as writer:
        writer.write({"a": 1})
        writer.write(VERDICT)
    first, second = read_jsonl(path)
    assert first == {"a": 1}
    assert Verdict.from_json(second) == VERDICT
    assert path.read_bytes().count(b"\n") == 2


def test_a_line_can_be_read_before_the_file_is_closed(tmp_path):
    with JsonlWriter(tmp_path / "a.jsonl") as writer:
        writer.write({"a": 1})
        assert list(read_jsonl(tmp_path / "a.jsonl")) == [{"a": 1}]


def test_every_way_of_being_cut_off(tmp_path):
    """Cut a file at every byte: the whole lines are read, and appending goes on behind them."""
    whole = b'{"n":0}\n{"n":1,"t":"\\u00e4 x"}\n{"n":2}\n'
    path = tmp_path / "a.jsonl"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = [json.loads(line) for line in whole[:cut].split(b"\n") if line.endswith(b"}")]
        assert list(read_jsonl(path)) == kept, whole[:cut]
        with JsonlWriter(path) as writer:
            writer.write({"n": 9})
        assert list(read_jsonl(path)) == [*kept, {"n": 9}], whole[:cut]


def test_a_long_torn_line_is_removed(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":0}\n{"t":"' + b"x" * 300_000)
    with JsonlWriter(path) as writer:
        writer.write({"n": 1})
    assert list(read_jsonl(path)) == [{"n": 0}, {"n": 1}]


def test_a_line_in_the_middle_that_is_not_json_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"n":0}\n\n{"n":\n{"n":2}\n')
    with pytest.raises(StoreError, match=r"a\.jsonl:3: not JSON"):
        list(read_jsonl(tmp_path / "a.jsonl"))


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(StoreError, match=r"cannot read .*a\.jsonl: No such file"):
        list(read_jsonl(tmp_path / "a.jsonl"))


def test_a_value_without_json_form_leaves_no_trace(tmp_path):
    with JsonlWriter(tmp_path / "a.jsonl") as writer:
        writer.write({"n": 0})
        with pytest.raises(TypeError):
            writer.write({"n": object()})
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [{"n": 0}]


def test_lines_before_a_kill_are_whole(tmp_path, start):
    code = """
import sys
from pathlib import Path
from harness.store import JsonlWriter
with JsonlWriter(Path(sys.argv[1])) as writer:
    for n in range(10**9):
        writer.write({"n": n, "text": "x" * 2000})
        print(n, flush=True)
"""
    other = start(code, tmp_path / "a.jsonl")
    while int(other.line()) < 50:
        pass
    other.process.kill()
    acknowledged = [50, *map(int, other.process.communicate()[0].split())][-1]
    rows = [row["n"] for row in read_jsonl(tmp_path / "a.jsonl")]
    assert rows == list(range(len(rows)))
    assert len(rows) > acknowledged


def test_a_whole_file_replaces_the_old_one(tmp_path):
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [{"n": 0}, {"n": 1}])
    with pytest.raises(TypeError):
        write_jsonl(path, [{"n": 2}, object()])
    assert list(read_jsonl(path)) == [{"n": 0}, {"n": 1}]
    write_jsonl(path, [])
    assert list(read_jsonl(path)) == []
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_several_values_are_written_at_once(tmp_path):
    with JsonlWriter(tmp_path / "a.jsonl") as writer:
        writer.write({"a": 1}, {"a": 2})
        writer.write()
        writer.write({"a": 3})
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [{"a": 1}, {"a": 2}, {"a": 3}]
