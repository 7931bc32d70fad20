"""Loading: ids, tags, counts, and every bad row reported with its place."""

import json

import pytest

from harness.config import DatasetConfig
from harness.data import DataSet, load_samples
from harness.data.identity import content_digest
from harness.errors import DataError


def _row(n, **fields):
    return {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "r"}], **fields}


def _file(folder, *rows, name="rows.jsonl"):
    file = folder / name
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def _load(folder, *rows, **options):
    return load_samples([DataSet(str(_file(folder, *rows)), **options)])


def test_every_problem_of_every_row_is_in_the_error(tmp_path):
    loaded = _load(
        tmp_path,
        _row(1),
        "{bad",
        {"messages": [{"role": "user", "content": "q"}]},
        {"messages": []},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": " \n"}], "id": "empty"},
        {"messages": [{"role": "wizard", "content": "q"}, {"role": "assistant", "content": "r"}]},
        {"other": 1},
        _row(2),
    )
    assert [problem.line for problem in loaded.problems] == [2, 3, 4, 5, 6, 7]
    assert (loaded.counts["rows"], loaded.counts["samples"], loaded.counts["bad"]) == (8, 2, 6)
    with pytest.raises(DataError) as caught:
        loaded.require()
    text = str(caught.value)
    assert "6 problems in the training data (2 rows are fine)" in text
    for part in (
        "malformed JSON",
        "no assistant turn",
        "no turns",
        "row empty: turn 2: the reply is empty",
        "'wizard'",
        "no known format",
    ):
        assert part in text
    assert f"{tmp_path}/rows.jsonl:5: " in text


def test_a_flood_of_problems_is_cut_in_the_message_only(tmp_path):
    with pytest.raises(DataError) as caught:
        _load(tmp_path, *["{bad"] * 1000).require()
    assert len(caught.value.problems) == 1000
    assert len(str(caught.value).splitlines()) < 210
    assert "and 800 more problems" in str(caught.value)


def test_an_empty_reply_that_is_not_trained_is_fine(tmp_path):
    turns = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "train": False},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "r"},
    ]
    assert not _load(tmp_path, {"messages": turns}).problems


def test_ids_are_the_rows_own_or_their_content(tmp_path):
    loaded = _load(tmp_path, _row(1, id=7), _row(2), _row(3), _row(2), _row(2)).require()
    assert loaded.samples[0].id == "7"
    assert loaded.samples[1].id == content_digest(loaded.samples[1])
    assert [sample.id for sample in loaded.samples[3:]] == [f"{loaded.samples[1].id}#2", f"{loaded.samples[1].id}#3"]
    assert loaded.counts["duplicates"] == 2
    moved = _load(tmp_path, _row(3), _row(2)).require()
    assert moved.samples[1].id == loaded.samples[1].id


def test_an_explicit_id_twice_is_a_problem_with_both_places(tmp_path):
    loaded = _load(tmp_path, _row(1, id="a"), _row(2, id="a"))
    (problem,) = loaded.problems
    assert (problem.line, problem.row) == (2, "a")
    assert "rows.jsonl:1" in problem.message


def test_two_data_sets_may_use_the_same_ids(tmp_path):
    sets = [DataSet(str(_file(tmp_path, _row(n, id=1), name=f"{n}.jsonl"))) for n in (1, 2)]
    loaded = load_samples([*sets, sets[0]]).require()
    assert [sample.id for sample in loaded.samples] == ["1", "1#2", "1#3"]
    assert loaded.counts["duplicates"] == 1


@pytest.mark.parametrize("bad", ["", True, 1.5, ["x"]])
def test_ids_of_a_wrong_type(tmp_path, bad):
    assert "'id' must be" in _load(tmp_path, _row(1, id=bad)).problems[0].message


def test_tags_meta_cluster_and_other_fields(tmp_path):
    row = _row(1, tags={"kind": 3}, meta={"x": 1}, cluster=5, columns=["a"], nothing=None, lineage={"parents": ["p"]})
    (sample,) = _load(tmp_path, row).require().samples
    assert sample.tags == {"kind": "3"}
    assert sample.meta == {"x": 1, "columns": ["a"]}
    assert (sample.cluster, sample.lineage) == ("5", {"parents": ["p"]})
    assert _load(tmp_path, _row(1, tags=["easy", "short"])).samples[0].tags == {"easy": "yes", "short": "yes"}
    said = [problem.message for problem in _load(tmp_path, _row(1, tags=3, meta=[1])).problems]
    assert len(said) == 2


def test_slices_take_rows_and_leave_the_problems_of_others_alone(tmp_path):
    rows = [_row(1), "{bad", _row(3), _row(4), "{bad"]
    assert not _load(tmp_path, *rows, split="train[2:4]").problems
    assert len(_load(tmp_path, *rows, split="[:3]").problems) == 1
    assert "holds no rows" in _load(tmp_path, *rows, split="[9:]").problems[0].message


def test_an_entry_of_the_config_says_roles_fields_and_what_is_trained(tmp_path):
    row = {"talk": [{"who": "sys", "what": "s"}, {"who": "q", "what": "x"}, {"who": "a", "what": "y"}]}
    entry = DatasetConfig(
        path=str(_file(tmp_path, row)),
        type="chat_template",
        field_messages="talk",
        message_property_mappings={"role": "who", "content": "what"},
        roles={"user": ["q"], "assistant": ["a"], "system": ["sys"]},
        roles_to_train=["human"],
        drop_system_message=True,
    )
    (sample,) = load_samples([entry]).require().samples
    assert [(m.role, m.content, m.train) for m in sample.messages] == [("user", "x", True), ("assistant", "y", False)]


def test_an_unreadable_data_set_does_not_hide_the_problems_of_another(tmp_path):
    sets = [DataSet(str(tmp_path / "no.jsonl")), DataSet(str(_file(tmp_path, "{bad")))]
    assert len(load_samples(sets).problems) == 2


def test_no_rows_are_an_error(tmp_path):
    with pytest.raises(DataError, match="holds no rows"):
        load_samples([]).require()
