import re
from pathlib import Path

import pytest
from hand_world import files


@pytest.fixture
def prepared(world):
    """A config that keeps prepared rows, of three lengths."""
    world.write_rows("one", "twenty" * 5, "three hundred" * 5)
    world.replace("train.yml", "output_dir", "dataset_prepared_path: ./prepared\noutput_dir")
    return world


def rows_in(world):
    return sorted((world.folder / "prepared").glob("*.rows"))


def test_the_rows_are_written_and_shown(prepared, harness):
    done = harness("preprocess", "train.yml")
    assert done.code == 0
    (file,) = rows_in(prepared)
    assert f"the rows lie in {file}\n" in done.out
    shown = dict(re.findall(r"^│ ([^│]+?) +│ +([^│]+?) │$", done.out, re.MULTILINE))
    assert (shown["rows read"], shown["rows to train on"], shown["longer than sequence_len"]) == ("3", "3", "0")


def test_one_row_is_shown_token_by_token_to_its_end(prepared, harness):
    shown = harness("preprocess", "train.yml", "--row", "3").out
    (line,) = (line for line in shown.splitlines() if line.startswith("<s>"))
    tokens = re.findall(r"(\S+?)⟨\d+⟩", line.replace("«", "").replace("»", ""))
    head = re.search(r"row \w+: (\d+) tokens, (\d+) of them trained", shown)
    text = "".join(tokens).replace("·", " ")
    assert text == f"<s>user: question 2</s><s>assistant: {'three hundred' * 5}</s>"
    assert len(tokens) == int(head[1])
    trained = "".join(re.findall("«(.*?)»", line))
    assert len(re.findall("⟨", trained)) == int(head[2])
    assert re.sub(r"⟨\d+⟩", "", trained).replace("·", " ") == "three hundred" * 5 + "</s>"


def test_on_a_narrow_terminal_a_row_is_folded_and_not_cut(prepared, harness, monkeypatch):
    whole = harness("preprocess", "train.yml", "--row", "3").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    folded = re.sub(r"\x1b\[[\d;]*m", "", harness("preprocess", "train.yml", "--row", "3").out)
    assert re.findall(r"⟨\d+⟩", folded.replace("\n", "")) == re.findall(r"⟨\d+⟩", whole)


def test_lengths_are_drawn_as_a_histogram(prepared, harness):
    drawn = re.findall(r"^ *\d+ – +\d+ (█*) (\d+)$", harness("preprocess", "train.yml").out, re.MULTILINE)
    assert sum(int(count) for _, count in drawn) == 3
    assert [bool(bar) for bar, _ in drawn] == [count != "0" for _, count in drawn]


def test_rows_are_shown_by_number_and_by_id_and_a_missing_one_is_told(prepared, harness):
    first = harness("preprocess", "train.yml").out.split(":")[0].removeprefix("row ")
    shown = harness("preprocess", "train.yml", "--row", "2", "--row", first, "--row", "9").out
    assert [line.split(":")[0] for line in shown.splitlines() if line.startswith("row ")][1:] == [
        f"row {first}", "row 9"
    ]  # fmt: skip
    assert "row 9: not there (1 to 3, or an id)" in shown


def test_training_reuses_what_was_written(prepared, harness):
    from harness.config import load_config
    from harness.job.resolve import read_rows
    from harness.models import resolve_base

    def encode():
        config = load_config(prepared.config)
        events = []
        base = resolve_base(config.base_model, prepared.home)
        return read_rows(config, base).encode(config, events.append), [event["message"] for event in events]

    harness("preprocess", "train.yml")
    (file,) = rows_in(prepared)
    rows, notes = encode()
    assert notes == [f"prepared rows reused from {file}"]
    prepared.replace("rows.jsonl", "one", "six")
    changed, notes = encode()
    assert notes == []
    assert changed.train[0] != rows.train[0]
    assert len(rows_in(prepared)) == 2


def test_without_a_place_to_write_it_says_so(world, harness):
    done = harness("preprocess", "train.yml")
    assert done.code == 0
    assert "nothing was written: the config sets no dataset_prepared_path" in done.out


def test_rows_too_long_are_counted(prepared, harness):
    shown = harness("preprocess", "train.yml", "--set", "sequence_len=60", "--set", "excess_length_strategy=drop").out
    assert re.search(r"longer than sequence_len +│ +2 ", shown)
    assert re.search(r"of which dropped +│ +2 ", shown)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope.yml"], "nope.yml: there is no such file"),
        (["train.yml", "--set", "lora_rr=3"], "unknown key 'lora_rr'"),
        (["train.yml", "--data", "nope.jsonl"], "nope.jsonl"),
        (["no_rows.yml"], "datasets is missing: where the training rows come from"),
        (["no_base.yml"], "the base model is not there"),
        (["bad_rows.yml"], "bad.jsonl:2"),
    ],
)
def test_bad_input_is_told_and_nothing_written(prepared, harness, arguments, said):
    text = prepared.config.read_text()
    prepared.write("no_rows.yml", "base_model: ./base\nadapter: lora\n")
    prepared.write("no_base.yml", text.replace("./base", "./nowhere"))
    prepared.write("bad_rows.yml", text.replace("rows.jsonl", "bad.jsonl"))
    prepared.write("bad.jsonl", prepared.rows.read_text().splitlines()[0] + "\n{\n")
    before = files(prepared.folder)
    done = harness("preprocess", *arguments)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert files(prepared.folder) == before


def test_prepared_rows_that_cannot_be_written_are_told(prepared, harness):
    Path("prepared").write_text("a file")
    done = harness("preprocess", "train.yml")
    assert done.code == 2
    assert f"error: prepared rows cannot be written to {prepared.folder / 'prepared'}" in done.err
