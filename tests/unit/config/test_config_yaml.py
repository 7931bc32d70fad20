"""Reading YAML: lines, numbers, repeated keys, files that are no configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import load_config
from harness.config.marks import parse_document, parse_value, read_document
from harness.errors import ConfigError


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    return str(caught.value)


def refused_text(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "run.yml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("2e-5", 2e-5),
        ("1E3", 1000.0),
        ("+1.5e+2", 150.0),
        (".5e1", 5.0),
        ("1.e1", 10.0),
        ("-1e-8", -1e-8),
        ("0.0002", 0.0002),
        ("16", 16),
        ("1_000", 1000),
    ],
)
def test_numbers(text, value):
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["1e", "e4", "1e4x", "v1e-4", "2024-01-31", "2024-01-31 10:00:00", "0x", "'1e-4'"])
def test_text_stays_text(text):
    assert parse_value(text) == text.strip("'")


def test_every_key_and_item_has_its_line():
    document = parse_document("a: 1\nb:\n  - x: 2\n    y: 3\n  - 4\nc: {d: [5,\n  6]}\n", "run.yml")
    assert document.values == {"a": 1, "b": [{"x": 2, "y": 3}, 4], "c": {"d": [5, 6]}}
    assert document.lines == {
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 0, "x"): 3,
        ("b", 0, "y"): 4,
        ("b", 1): 5,
        ("c",): 6,
        ("c", "d"): 6,
        ("c", "d", 0): 6,
        ("c", "d", 1): 7,
    }


def test_anchors_and_merges_are_read():
    document = parse_document("one: &one {a: 1, b: 2}\ntwo:\n  <<: *one\n  b: 3\n", "run.yml")
    assert document.values["two"] == {"a": 1, "b": 3}
    assert document.lines[("two", "b")] == 4


def test_repeated_keys_are_all_reported_with_their_lines():
    document = parse_document("a: 1\nb: 2\na: 3\nc:\n  d: 1\n  d: 2\n  d: 3\na: 4\n", "run.yml")
    assert sorted(map(str, document.problems)) == [
        "run.yml:3: the key 'a' stands there more than once: lines 1, 3 and 8",
        "run.yml:6: the key 'd' stands there more than once: lines 5, 6 and 7",
    ]


def test_the_first_of_repeated_keys_counts():
    document = parse_document("a: 1\na: 3\nc: {d: 1, d: 2}\n", "run.yml")
    assert document.values == {"a": 1, "c": {"d": 1}}
    assert document.lines["a",] == 1


def test_a_repeated_key_does_not_hide_the_other_problems(problems):
    found = problems("lora_r: 0\nseed: 1\nseed: x\n3: y\nlerning_rate: 1\nserve: {dtype: f, dtype: auto}\n")
    assert [problem.split(": ")[0] for problem in found] == [f"run.yml:{line}" for line in (6, 8, 9, 10, 11, 11)]


def test_a_value_of_the_command_line_repeats_no_key(problems):
    (message,) = problems(overrides=("serve={dtype: auto, dtype: float32}",))
    assert "the key 'dtype' stands there more than once" in message


def test_the_same_key_in_two_sections_is_fine():
    assert parse_document("a: {x: 1}\nb: {x: 1}\n", "run.yml").values == {"a": {"x": 1}, "b": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: 1\nb:\n\t- c\n", 3, "indent with spaces"),
        ("a: b: c\n", 1, "put quotes around a text that has a colon"),
        ("a: 1\nb: [1, 2\n", 3, "not YAML"),
        ("a: 1\nsplit: [:120]\n", 2, "put quotes around a text that starts with a bracket"),
        ("a: 1\nb: %x\n", 2, "put quotes"),
        ("a: !!python/object:os.system {}\n", 1, "not YAML"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: 1\nb: \x07\n", 2, "not allowed in YAML"),
        ("a: {[1]: 2}\n", 1, "not YAML"),
    ],
)
def test_syntax_errors_have_a_line(text, line, said):
    message = refused_text(text)
    assert f"run.yml:{line}: " in message
    assert said in message


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "null\n"])
def test_empty(text):
    assert "the file is empty" in refused_text(text)


@pytest.mark.parametrize(
    ("text", "kind"), [("- a\n- b\n", "list"), ("hello\n", "single value"), ("3\n", "single value")]
)
def test_not_a_mapping(text, kind):
    message = refused_text(text)
    assert "must hold keys and values" in message
    assert kind in message


def test_keys_that_are_not_text():
    document = parse_document("a: 1\n3: x\nyes: y\n", "run.yml")
    assert document.values == {"a": 1}
    assert list(map(str, document.problems)) == [
        "run.yml:2: the key 3 is not text; put quotes around it",
        "run.yml:3: the key True is not text; put quotes around it",
    ]


def test_deep_nesting_is_an_error_and_not_a_crash():
    assert "nested too deeply" in refused_text("a: " + "[" * 20_000)


def test_aliases_that_multiply_are_not_followed_for_ever():
    rows = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    document = parse_document("\n".join(rows), "run.yml")
    assert len(document.lines) < 1_000_000


def test_byte_order_mark(tmp_path):
    path = tmp_path / "run.yml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(path).values == {"a": 1}


def test_utf16_is_named(tmp_path):
    path = tmp_path / "run.yml"
    path.write_bytes("a: 1\n".encode("utf-16"))
    assert "UTF-16; save it as UTF-8" in refused(path)


def test_wrong_encoding_has_a_line(tmp_path):
    path = tmp_path / "run.yml"
    path.write_bytes("a: 1\nb: caf\xe9\n".encode("latin-1"))
    message = refused(path)
    assert f"{path}:2: byte 0xe9 is not UTF-8" in message


def test_missing_file_folder_and_size(tmp_path):
    assert "there is no such file" in refused(tmp_path / "none.yml")
    assert "is a folder" in refused(tmp_path)
    big = tmp_path / "big.yml"
    big.write_bytes(b"#" * (8 * 2**20 + 1))
    assert "is a data set and not a configuration" in refused(big)


def test_load_config_says_the_same(tmp_path):
    path = tmp_path / "run.yml"
    path.write_text("a: 1\na: 2\n", "utf-8")
    with pytest.raises(ConfigError, match="lines 1 and 2"):
        load_config(path)
