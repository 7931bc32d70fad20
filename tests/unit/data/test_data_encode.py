"""Encoding a data set: counts, cut, split by group, prepared rows, the choice of a template."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_folders import model_folder

from harness.config import config_from
from harness.data import Renderer, choose_template, data_digest, encode_all, load_samples
from harness.data.prepared import prepared_file, prepared_key
from harness.data.split import split_groups
from harness.errors import DataError, StoreError, TemplateError

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _talk(asked, answered, **fields):
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}], **fields}


@pytest.fixture
def renderer(tmp_path):
    return Renderer.from_folder(model_folder(tmp_path / "model", template=CHAT, eos_token="<|im_end|>"))


@pytest.fixture
def make(tmp_path):
    """Write rows and return a config that trains on them."""

    def config(rows, name="rows.jsonl", dataset=(), **keys):
        file = tmp_path / name
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        entry = {"path": str(file), "type": "chat_template", **dict(dataset)}
        values = {"base_model": str(tmp_path / "model"), "output_dir": str(tmp_path / "out"), "adapter": "lora"}
        return config_from({**values, "datasets": [entry], **keys}, tmp_path)

    return config


@pytest.fixture
def encode(renderer):
    def encoded(config, **options):
        return encode_all(load_samples(config.datasets).require().samples, renderer, config, **options)

    return encoded


def test_counts(make, encode, renderer):
    rows = [_talk("q", "r"), _talk("q", "r"), _talk("long " * 40, "r"), _talk("q2", "r" * 9)]
    found = encode(make(rows, sequence_len=64))
    assert [len(row.input_ids) for row in found.train] == [len(renderer.encode(s).input_ids) for s in _samples(rows)]
    counts = found.counts
    assert (counts["rows"], counts["train_rows"], counts["val_rows"]) == (4, 3, 0)
    assert (counts["too_long"], counts["dropped"], counts["truncated"], counts["duplicates"]) == (1, 1, 0, 1)
    assert counts["tokens"] == sum(len(row.input_ids) for row in found.train)
    assert counts["trained_tokens"] == sum(label != -100 for row in found.train for label in row.labels)
    assert counts["longest"] > 64


def _samples(rows):
    from harness.types import Message, Sample

    kept = (row for row in rows if "long" not in row["messages"][0]["content"])
    return [Sample("x", tuple(Message(m["role"], m["content"]) for m in row["messages"])) for row in kept]


def test_truncation_keeps_what_is_still_trained_and_counts_the_rest(make, encode):
    rows = [_talk("q", "word " * 40), _talk("word " * 80, "r"), _talk("q", "r")]
    found = encode(make(rows, sequence_len=40, excess_length_strategy="truncate"))
    assert [len(row.input_ids) for row in found.train] == [40, found.counts["tokens"] - 40]
    counts = found.counts
    assert (counts["too_long"], counts["truncated"], counts["dropped"], counts["train_rows"]) == (2, 1, 1, 2)


def test_all_rows_too_long_is_an_error_that_names_the_longest(make, encode):
    with pytest.raises(
        DataError, match=r"all 1 are longer than sequence_len: 4 \(the longest has \d+ tokens\); raise it"
    ):
        encode(make([_talk("q", "r")], sequence_len=4))


def test_all_rows_that_cannot_be_trained_on_are_named(make, encode):
    rows = [_talk("q", "a<|im_end|>b", id="one"), _talk("q", "r"), _talk("q2", "<|im_end|>b", id="two")]
    with pytest.raises(DataError) as caught:
        encode(make(rows))
    assert [(problem.row, problem.line) for problem in caught.value.problems] == [("one", 1), ("two", 3)]
    assert "2 of 3 rows cannot be trained on" in str(caught.value)


def test_roles_and_inputs_come_from_the_config(make, encode, renderer):
    rows = [_talk("question", "reply")]
    replies = encode(make(rows)).counts["trained_tokens"]
    both = encode(make(rows, roles_to_train=["user", "assistant"])).counts["trained_tokens"]
    inputs = encode(make(rows, train_on_inputs=True)).counts["trained_tokens"]
    of_set = encode(make(rows, dataset={"roles_to_train": ["user"]})).counts["trained_tokens"]
    assert replies < both < inputs
    assert of_set == both - replies


class TestSplit:
    def test_rows_of_a_cluster_stay_together(self, make, encode):
        rows = [_talk(f"q{n}", "r", cluster=str(n % 10)) for n in range(100)]
        found = encode(make(rows, val_set_size=0.2))
        assert len(found.val) == 20
        assert not {row.group for row in found.train} & {row.group for row in found.val}
        assert len(found.train) + len(found.val) == 100

    def test_rows_that_ask_the_same_stay_together(self, make, encode):
        rows = [_talk(f"q{n % 20}", f"r{n}") for n in range(60)]
        found = encode(make(rows, val_set_size=9))
        asked = {side: {_prompt(row) for row in getattr(found, side)} for side in ("train", "val")}
        assert len(found.val) == 9
        assert not asked["train"] & asked["val"]

    def test_the_seed_decides(self, make, encode):
        rows = [_talk(f"q{n}", "r") for n in range(40)]
        chosen = [[row.sample_id for row in encode(make(rows, val_set_size=8, seed=seed)).val] for seed in (1, 1, 2)]
        assert chosen[0] == chosen[1] != chosen[2]

    def test_one_group_cannot_be_split(self, make, encode):
        rows = [_talk(f"q{n}", "r", cluster="all") for n in range(4)]
        with pytest.raises(DataError, match=r"which form 1 group"):
            encode(make(rows, val_set_size=0.5))

    def test_more_than_there_is(self, make, encode):
        with pytest.raises(DataError, match="asks for 9 of 4 rows"):
            encode(make([_talk(f"q{n}", "r") for n in range(4)], val_set_size=9))

    @given(st.lists(st.integers(0, 12), min_size=2, max_size=80), st.floats(0.01, 0.9), st.integers(0, 5))
    def test_a_split_is_whole_groups_and_never_all_nor_nothing(self, groups, size, seed):
        names = [str(group) for group in groups]
        if len(set(names)) < 2 or round(size * len(names)) >= len(names):
            return
        kept_out = split_groups(names, size, seed)
        assert kept_out == split_groups(names, size, seed)
        assert 0 < len(kept_out) < len(names)
        assert not {names[n] for n in kept_out} & {names[n] for n in range(len(names)) if n not in kept_out}
        smallest = min(names.count(name) for name in set(names))
        assert len(kept_out) <= max(round(size * len(names)), smallest)


def _prompt(row):
    return tuple(i for i, label in zip(row.input_ids, row.labels, strict=True) if label == -100)


class TestPrepared:
    ROWS = tuple(_talk(f"q{n}", "r" * (n + 1), cluster=str(n // 2)) for n in range(10))

    def test_the_second_time_reads_the_same_rows(self, make, encode, renderer, tmp_path, monkeypatch):
        config = make(self.ROWS, val_set_size=2, dataset_prepared_path=str(tmp_path / "prepared"))
        first = encode(config)
        monkeypatch.setattr(Renderer, "tokens", lambda *args: pytest.fail("rendered again"))
        again = encode(config)
        assert (again.train, again.val, again.counts, again.digest) == (
            first.train,
            first.val,
            first.counts,
            first.digest,
        )
        assert "reused" in again.notes[0]
        assert not list((tmp_path / "prepared").glob(".writing*"))

    @pytest.mark.parametrize(
        "damage", [lambda b: b[:-3], lambda b: b[:200] + b"x" + b[201:], lambda b: b"", lambda b: b[:20]]
    )
    def test_a_damaged_file_is_found_out_and_written_anew(self, make, encode, renderer, tmp_path, damage):
        folder = tmp_path / "prepared"
        config = make(self.ROWS, dataset_prepared_path=str(folder))
        first = encode(config)
        (file,) = folder.iterdir()
        good = file.read_bytes()
        file.write_bytes(damage(good))
        again = encode(config)
        assert again.train == first.train
        assert "is damaged" in again.notes[0]
        assert file.read_bytes() == good

    def test_a_file_under_another_name_is_not_taken(self, make, encode, renderer, tmp_path):
        folder = tmp_path / "prepared"
        first = encode(make(self.ROWS, dataset_prepared_path=str(folder)))
        (file,) = folder.iterdir()
        config = make(self.ROWS[:4], dataset_prepared_path=str(folder))
        samples = load_samples(config.datasets).samples
        file.rename(prepared_file(folder, prepared_key(data_digest(samples, renderer, config), renderer)))
        found = encode(config)
        assert (len(first.train), len(found.train)) == (10, 4)
        assert "other rows" in found.notes[0]

    @pytest.mark.parametrize(
        "change",
        [
            {"sequence_len": 99},
            {"train_on_inputs": True},
            {"val_set_size": 2},
            {"roles_to_train": ["user"]},
            {"excess_length_strategy": "truncate"},
        ],
    )
    def test_what_rows_depend_on_changes_the_key(self, make, renderer, change):
        samples = load_samples(make(self.ROWS).datasets).samples
        assert data_digest(samples, renderer, make(self.ROWS)) != data_digest(
            samples, renderer, make(self.ROWS, **change)
        )

    def test_one_byte_of_data_template_or_tokenizer_changes_the_key(self, make, renderer, tmp_path):
        config = make(self.ROWS)
        samples = load_samples(config.datasets).samples
        digest = data_digest(samples, renderer, config)
        other = load_samples(make([*self.ROWS[:-1], _talk("q9", "r" * 10 + "!", cluster="4")]).datasets).samples
        assert data_digest(other, renderer, config) != digest
        template = Renderer.from_folder(tmp_path / "model", template=CHAT + " ")
        assert data_digest(samples, template, config) != digest
        key = prepared_key(digest, renderer)
        tokenizer = tmp_path / "model" / "tokenizer.json"
        tokenizer.write_text(tokenizer.read_text() + " ")
        assert prepared_key(digest, renderer) != key

    def test_what_rows_do_not_depend_on_keeps_the_key(self, make, renderer):
        samples = load_samples(make(self.ROWS).datasets).samples
        changed = make(self.ROWS, learning_rate=0.1, num_epochs=7, seed=9)
        assert data_digest(samples, renderer, make(self.ROWS)) == data_digest(samples, renderer, changed)

    def test_a_folder_that_cannot_be_written_is_said(self, make, encode, tmp_path):
        (tmp_path / "taken").write_text("a file")
        with pytest.raises(StoreError, match="cannot be written"):
            encode(make(self.ROWS, dataset_prepared_path=str(tmp_path / "taken" / "folder")))


class TestChoice:
    def _choose(self, config):
        return choose_template(config, load_samples(config.datasets))

    def test_the_config_wins(self, make):
        rows = [_talk("q", "r")]
        assert self._choose(make(rows, dataset={"conversation": "alpaca"}, chat_template="chatml")) == "chatml"
        assert self._choose(make(rows, dataset={"conversation": "alpaca"}, chat_template="tokenizer_default")) is None
        assert self._choose(make(rows, chat_template="jinja", chat_template_jinja="{{ messages }}")) == "{{ messages }}"

    def test_then_the_data_sets(self, make):
        assert self._choose(make([_talk("q", "r")], dataset={"conversation": "alpaca"})) == "alpaca"

    def test_then_the_format(self, make):
        alpaca = make([{"instruction": "i", "output": "o"}], dataset={"type": "alpaca"})
        assert self._choose(alpaca) == "alpaca"
        pairs = make([{"prompt": "i", "completion": "o"}], dataset={"type": "prompt_completion"})
        assert self._choose(pairs) == "completion"

    def test_then_the_models_own(self, make):
        assert self._choose(make([_talk("q", "r")])) is None

    def test_data_sets_that_disagree(self, make, tmp_path):
        rows = [_talk("q", "r")]
        entries = [
            {"path": str(tmp_path / "rows.jsonl"), "type": "chat_template", "conversation": name}
            for name in ("alpaca", "chatml")
        ]
        with pytest.raises(
            TemplateError, match=r"(?s)different chat templates.*rows.jsonl: alpaca.*rows.jsonl: chatml"
        ):
            self._choose(make(rows, datasets=entries))

    def test_formats_that_disagree(self, make, tmp_path):
        make([{"instruction": "i", "output": "o"}], name="alpaca.jsonl")
        entries = [
            {"path": str(tmp_path / "rows.jsonl"), "type": "chat_template"},
            {"path": str(tmp_path / "alpaca.jsonl"), "type": "alpaca"},
        ]
        config = make([_talk("q", "r")], datasets=entries)
        with pytest.raises(TemplateError, match=r"call for different templates \(alpaca, the model's own"):
            self._choose(config)


def test_encoding_is_linear_in_the_rows(make, encode, renderer, monkeypatch):
    """Counted in calls, not in seconds: each row is rendered and tokenised once."""
    rendered: list[int] = []
    tokens = Renderer.tokens

    def counted(self, samples, rules):
        rendered.append(len(samples))
        return tokens(self, samples, rules)

    monkeypatch.setattr(Renderer, "tokens", counted)
    encode(make([_talk(f"q{n}", "r") for n in range(700)]))
    assert sum(rendered) == 700
    assert max(rendered) <= 256


def test_nothing_heavy_is_imported():
    import subprocess
    import sys

    code = (
        "import sys, harness.data\n"
        "names = 'torch transformers tokenizers datasets pyarrow jinja2 rich pytest'.split()\n"
        "heavy = set(names) & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
