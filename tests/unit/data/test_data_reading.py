"""Files of rows: whatever is wrong with one is a problem with its place, and the rest is still read."""

import gzip
import io
import json
import tracemalloc
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import DataSet
from harness.data.lines import Line, read_lines
from harness.data.loading import load_rows
from harness.data.problems import RowError
from harness.data.rows import Row, read_rows
from harness.errors import Problem


def _write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def _items(dataset: DataSet) -> list:
    return [item.record if isinstance(item, Row) else str(item) for item in load_rows(dataset)]


def _refusal(dataset: DataSet) -> str:
    with pytest.raises(RowError) as caught:
        load_rows(dataset)
    return str(caught.value)


class TestJsonLines:
    def test_bom_blank_lines_and_crlf_are_no_rows_and_keep_the_line_numbers(self, tmp_path):
        file = _write(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"n": 1}\r\n\r\n   \r\n{"n": 2}')
        rows = list(read_rows(file, "jsonl"))
        assert [(row.record["n"], row.source.line) for row in rows] == [(1, 1), (2, 4)]
        assert str(rows[1].source) == f"{file}:4"

    def test_every_malformed_line_is_reported_and_the_good_ones_are_read(self, tmp_path):
        file = _write(tmp_path, "a.jsonl", '{"n": 1}\n{"n": \n[1]\n"text"\n{"n": 2}\n{"n" 3}\n')
        items = list(read_rows(file, "jsonl"))
        assert [item.record["n"] for item in items if isinstance(item, Row)] == [1, 2]
        problems = [item for item in items if isinstance(item, Problem)]
        assert [problem.line for problem in problems] == [2, 3, 4, 6]
        assert "malformed JSON" in problems[0].message
        assert "must be an object" in problems[1].message
        assert "list" in problems[1].message
        assert "column 6" in problems[3].message

    def test_a_wrong_encoding_names_byte_offset_line_and_column(self, tmp_path):
        first = '{"n": "ü"}\n'.encode()
        file = _write(tmp_path, "a.jsonl", first + '{"n": "caf\u00e9"}\n'.encode("latin-1") + b'{"n": 3}\n')
        items = list(read_rows(file, "jsonl"))
        problem = items[1]
        offset = len(first) + len(b'{"n": "caf')
        assert (file.read_bytes()[offset], problem.line) == (0xE9, 2)
        assert f"byte 0xe9 at offset {offset} of the file (column 11 of the line)" in problem.message
        assert items[2].record == {"n": 3}

    def test_offsets_count_the_byte_order_mark(self, tmp_path):
        content = b'\xef\xbb\xbf{"n": "\xff"}\n'
        (problem,) = read_rows(_write(tmp_path, "a.jsonl", content), "jsonl")
        assert f"offset {content.index(0xFF)} of" in problem.message

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_utf16_is_named(self, tmp_path, encoding):
        mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[encoding]
        (problem,) = read_rows(_write(tmp_path, "a.jsonl", mark + '{"n": 1}\n'.encode(encoding)), "jsonl")
        assert "UTF-16" in problem.message
        assert "iconv" in problem.message

    def test_json_nested_without_end_is_a_problem(self, tmp_path):
        (problem,) = read_rows(_write(tmp_path, "a.jsonl", "[" * 100_000), "jsonl")
        assert "cannot be read" in problem.message or "malformed" in problem.message

    def test_gzip_is_read_and_a_damaged_one_reported(self, tmp_path):
        whole = gzip.compress(b'{"n": 1}\n{"n": 2}\n' * 5000)
        assert len(_items(DataSet(str(_write(tmp_path, "a.jsonl.gz", whole))))) == 10_000
        items = list(read_rows(_write(tmp_path, "b.jsonl.gz", whole[: len(whole) // 2]), "jsonl"))
        assert isinstance(items[-1], Problem)
        assert "gzip" in items[-1].message
        (problem,) = read_rows(_write(tmp_path, "c.jsonl.gz", b"plain text"), "jsonl")
        assert "gzip" in problem.message


class TestLongLines:
    def test_a_line_of_200_mb_is_one_problem_and_takes_no_such_memory(self, tmp_path):
        file = tmp_path / "big.jsonl"
        size = 200 * 2**20
        with file.open("wb") as stream:
            stream.write(b'{"n": 1}\n')
            for _ in range(200):
                stream.write(b"x" * 2**20)
            stream.write(b'\n{"n": 3}\n')
        tracemalloc.start()
        try:
            items = list(read_rows(file, "jsonl"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            file.unlink()
        assert [item.record["n"] for item in items if isinstance(item, Row)] == [1, 3]
        problem = items[1]
        assert problem.line == 2
        assert f"{size + 1:,} bytes" in problem.message
        assert peak < 160 * 2**20

    @given(st.lists(st.integers(0, 40), max_size=8), st.booleans())
    def test_the_limit_falls_exactly(self, sizes, last_end):
        raw = b"\n".join(b"x" * size for size in sizes) + (b"\n" if last_end else b"")
        found = {
            item.number if isinstance(item, Line) else item.line: item for item in read_lines(io.BytesIO(raw), "f", 20)
        }
        for number, size in enumerate(sizes, start=1):
            if size > 20:
                ends = 1 if number < len(sizes) or last_end else 0
                assert isinstance(found[number], Problem)
                assert f"{size + ends:,} bytes" in found[number].message
            elif size:
                assert found[number] == Line(number, "x" * size)
            else:
                assert number not in found


class TestJson:
    def test_rows_of_a_list_know_their_lines(self, tmp_path):
        rows = list(read_rows(_write(tmp_path, "a.json", '\n[\n  {"n": 1},\n\n  {\n "n": 2}, 5\n]\n'), "json"))
        assert [(row.record["n"], row.source.line) for row in rows[:2]] == [(1, 3), (2, 5)]
        assert rows[2].line == 6

    def test_what_is_malformed_inside_a_list_is_placed(self, tmp_path):
        items = list(read_rows(_write(tmp_path, "a.json", '[{"n": 1},\n {"n": 2},\n {"n" 3}]'), "json"))
        assert [item.record["n"] for item in items[:2]] == [1, 2]
        assert items[2].line == 3
        assert "what follows" in items[2].message

    @pytest.mark.parametrize(
        "text", ['[{"n": 1}', '[{"n": 1},', "[", '[{"n": 1}] x', '[{"n": 1} {}]', '[{"n": 1},, {}]']
    )
    def test_a_list_that_does_not_end_rightly_is_a_problem(self, tmp_path, text):
        items = list(read_rows(_write(tmp_path, "a.json", text), "json"))
        assert isinstance(items[-1], Problem)

    def test_json_lines_under_the_name_json(self, tmp_path):
        text = '{"n": 1}\n\n{"n": 2}\n{bad\n'
        items = list(read_rows(_write(tmp_path, "a.json", text), "json"))
        assert [(i.record["n"], i.source.line) for i in items[:2]] == [(1, 1), (2, 3)]
        assert items[2].line == 4

    def test_one_object_over_several_lines_is_one_row(self, tmp_path):
        assert _items(DataSet(str(_write(tmp_path, "a.json", '\n{"n":\n 1}\n')))) == [{"n": 1}]

    def test_a_wrong_encoding_is_placed(self, tmp_path):
        content = b'[{"n": 1},\n {"n": "\xe9"}]'
        (problem,) = read_rows(_write(tmp_path, "a.json", content), "json")
        assert problem.line == 2
        assert f"offset {content.index(0xE9)} of" in problem.message

    @given(st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3), max_size=6))
    def test_any_list_reads_back(self, tmp_path_factory, rows):
        file = _write(tmp_path_factory.mktemp("json"), "a.json", json.dumps(rows, indent=1, ensure_ascii=False))
        assert [item.record for item in read_rows(file, "json")] == rows


class TestTables:
    def test_csv_cells_may_hold_line_ends_and_commas(self, tmp_path):
        text = '\ufeffa,b\n1,"x, ""y""\nz"\n\n2,w\n'
        rows = list(read_rows(_write(tmp_path, "a.csv", text), "csv"))
        assert [row.record for row in rows] == [{"a": "1", "b": 'x, "y"\nz'}, {"a": "2", "b": "w"}]
        assert [row.source.line for row in rows] == [2, 5]

    def test_csv_rows_of_another_width_are_reported(self, tmp_path):
        items = list(read_rows(_write(tmp_path, "a.csv", "a,b\n1\n1,2,3\n1,2\n"), "csv"))
        assert [getattr(item, "line", None) for item in items[:2]] == [2, 3]
        assert "1 cells where the header has 2" in items[0].message
        assert items[2].record == {"a": "1", "b": "2"}

    def test_csv_of_another_encoding_and_broken_quotes_are_reported(self, tmp_path):
        items = list(read_rows(_write(tmp_path, "a.csv", b'a,b\n1,\xe9\n1,"x"y\n3,4\n'), "csv"))
        assert items[-1].line == 2
        assert any(isinstance(item, Problem) and item.line == 3 for item in items)
        assert {"a": "3", "b": "4"} in [item.record for item in items if isinstance(item, Row)]

    def test_a_column_named_twice_is_a_problem(self, tmp_path):
        items = list(read_rows(_write(tmp_path, "a.csv", "a,a\n1,2\n"), "csv"))
        assert "'a' more than once" in items[0].message

    def test_tsv(self, tmp_path):
        assert _items(DataSet(str(_write(tmp_path, "a.tsv", "a\tb\n1\t2,3\n")))) == [{"a": "1", "b": "2,3"}]

    def test_parquet_and_arrow(self, tmp_path):
        table = pyarrow.Table.from_pylist([{"n": 1, "turns": [{"role": "user"}]}, {"n": 2, "turns": []}])
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        with pyarrow.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as stream:
            stream.write_table(table)
        for name in ("a.parquet", "a.arrow"):
            rows = load_rows(DataSet(str(tmp_path / name)))
            assert [row.record for row in rows] == table.to_pylist()
            assert [row.source.line for row in rows] == [1, 2]

    @pytest.mark.parametrize("kind", ["parquet", "arrow"])
    def test_damaged_tables_are_reported(self, tmp_path, kind):
        (problem,) = read_rows(_write(tmp_path, f"a.{kind}", b"PAR1 no table"), kind)
        assert "cannot be read" in problem.message

    def test_text_is_a_row_a_line(self, tmp_path):
        assert _items(DataSet(str(_write(tmp_path, "a.txt", "one\n\ntwo\n")))) == [{"text": "one"}, {"text": "two"}]


class TestPaths:
    def test_a_missing_file_shows_the_nearest(self, tmp_path):
        _write(tmp_path, "train.jsonl", "{}")
        message = _refusal(DataSet(str(tmp_path / "trian.jsonl")))
        assert "does not exist" in message
        assert "did you mean 'train.jsonl'?" in message

    def test_a_missing_folder_is_said(self, tmp_path):
        assert "nor does its folder" in _refusal(DataSet(str(tmp_path / "no" / "a.jsonl")))

    @pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
    def test_an_empty_file_is_said(self, tmp_path, content):
        assert "holds no rows" in _refusal(DataSet(str(_write(tmp_path, "a.jsonl", content))))

    def test_an_unknown_suffix_names_the_nearest(self, tmp_path):
        message = _refusal(DataSet(str(_write(tmp_path, "a.jsonll", "{}"))))
        assert "did you mean '.jsonl'?" in message
        assert "ds_type" in message

    def test_ds_type_reads_it_anyway(self, tmp_path):
        file = _write(tmp_path, "rows.data", '{"n": 1}\n{"n": 2}\n')
        assert _items(DataSet(str(file), kind="json")) == [{"n": 1}, {"n": 2}]

    def test_a_folder_is_all_its_data_files_in_order(self, tmp_path):
        (tmp_path / "sub").mkdir()
        _write(tmp_path, "b.jsonl", '{"n": 2}\n')
        _write(tmp_path, "a.json", '[{"n": 1}]')
        _write(tmp_path / "sub", "c.csv", "n\n3\n")
        _write(tmp_path, "README.md", "no data")
        _write(tmp_path, ".hidden.jsonl", '{"n": 9}\n')
        _write(tmp_path, "dataset_info.json", "{}")
        assert [row["n"] for row in _items(DataSet(str(tmp_path)))] == [1, 2, "3"]

    def test_a_folder_with_splits_does_not_train_on_its_test_files(self, tmp_path):
        for name in ("train-00000.jsonl", "test-00000.jsonl", "validation.jsonl"):
            _write(tmp_path, name, json.dumps({"n": name}) + "\n")
        assert _items(DataSet(str(tmp_path))) == [{"n": "train-00000.jsonl"}]
        assert _items(DataSet(str(tmp_path), split="test")) == [{"n": "test-00000.jsonl"}]
        assert "no split 'dev'; it has test, train, validation" in _refusal(DataSet(str(tmp_path), split="dev[:3]"))

    def test_data_files_choose_inside_a_folder(self, tmp_path):
        for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
            _write(tmp_path, name, json.dumps({"n": name}) + "\n")
        chosen = DataSet(str(tmp_path), data_files=("c.jsonl", "a*"))
        assert [row["n"] for row in _items(chosen)] == ["c.jsonl", "a.jsonl"]
        assert "nothing in" in _refusal(DataSet(str(tmp_path), data_files=("z*",)))

    def test_loader_names_with_data_files(self, tmp_path):
        file = _write(tmp_path, "a.jsonl", '{"n": 1}\n')
        assert _items(DataSet("json", data_files=(str(file),))) == [{"n": 1}]

    def test_a_glob_is_sorted_and_an_empty_one_is_said(self, tmp_path):
        for name in ("b.jsonl", "a.jsonl"):
            _write(tmp_path, name, json.dumps({"n": name}) + "\n")
        assert [row["n"] for row in _items(DataSet(f"{tmp_path}/*.jsonl"))] == ["a.jsonl", "b.jsonl"]
        assert "no file matches" in _refusal(DataSet(f"{tmp_path}/*.csv"))

    def test_an_empty_folder_is_said(self, tmp_path):
        assert "holds no data file" in _refusal(DataSet(str(tmp_path)))

    def test_package_files(self):
        assert "not installed" in _refusal(DataSet("package://no_such_package/a.jsonl"))

    def test_a_hub_name_without_network_says_what_to_do(self, monkeypatch):
        import sys
        import types

        def refuse(*args, **kwargs):
            raise ConnectionError("no route\nmore")

        monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=refuse))
        message = _refusal(DataSet("someone/some-data"))
        assert "ConnectionError: no route;" in message
        assert "give the path of a file" in message

    def test_a_hub_name_is_loaded_through_datasets(self, monkeypatch):
        import sys
        import types

        asked = {}

        def load_dataset(path, name, **options):
            asked.update(options, path=path, name=name)
            return [{"n": 1}, {"n": 2}, {"n": 3}]

        monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
        assert _items(DataSet("someone/some-data", split="test[:2]", name="en")) == [{"n": 1}, {"n": 2}]
        assert (asked["path"], asked["name"], asked["split"]) == ("someone/some-data", "en", "test")

    def test_a_hub_name_without_the_library_says_what_to_install(self, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "datasets", None)
        assert "pip install" in _refusal(DataSet("someone/some-data"))

    def test_a_folder_cannot_be_read_as_a_file(self, tmp_path):
        (tmp_path / "a.jsonl").mkdir()
        assert "holds no data file" in _refusal(DataSet(str(tmp_path / "a.jsonl")))
