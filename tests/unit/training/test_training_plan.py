"""Keys, caching and launching, with a trainer of our own."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import load_config
from harness.data import EncodedSet
from harness.errors import StoreError, TrainingError
from harness.models import CANARY, HARNESS_FILE
from harness.process.job import JobFailure
from harness.store import Home
from harness.training import adapter_key, overfit_job, run_training, train_job, train_or_find
from harness.training.job import LATEST, TrainJob
from harness.training.launch import training_error
from harness.types import Base, Encoded

YAML = """\
base_model: {folder}
datasets:
  - path: {folder}/rows.jsonl
    type: chat_template
sequence_len: 64
"""
ROWS = tuple(Encoded(f"row {n}", tuple(range(5 + n)), (-100, *range(1, 5 + n))) for n in range(6))


class Template:
    template_text = "{{ messages }}"


class FakeTrainer:
    def __init__(self):
        self.jobs: list[TrainJob] = []

    def __call__(self, job, train_rows, val_rows, out, on_event):
        self.jobs.append(job)
        header = b'{"x.lora_A.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
        (out / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\7")
        (out / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": job.lora.r}))
        on_event({"event": "end"})
        return {"steps": 3, "rows": len(train_rows)}


@pytest.fixture
def world(tmp_path):
    """A config, a base and a home; ``find`` trains or finds."""

    class World:
        home = Home(tmp_path / "home")
        base = Base(tmp_path, "the/base", "b" * 64, "t" * 64)
        trainer = FakeTrainer()
        events: list = []  # noqa: RUF012

        def config(self, *overrides, text=""):
            (tmp_path / "rows.jsonl").touch()
            kind = "" if "adapter:" in text else "adapter: lora\n"
            (tmp_path / "train.yml").write_text(YAML.format(folder=tmp_path) + kind + text)
            return load_config(tmp_path / "train.yml", overrides)

        def find(self, *overrides, text="", base=None, data="d", trainer=None, **options):
            encode = lambda: EncodedSet(ROWS, (), {}, data)  # noqa: E731
            return train_or_find(
                self.config(*overrides, text=text), base or self.base, encode, data, Template, self.home,
                trainer=trainer or self.trainer, on_event=self.events.append, **options,
            )  # fmt: skip

    return World()


def test_trained_once_and_found_again(world):
    first = world.find()
    assert world.find() == first
    assert len(world.trainer.jobs) == 1
    assert first.path.parent == world.home.adapters
    assert (first.base_ref, first.base_hash, first.kind) == ("the/base", "b" * 64, "lora")
    assert (first.data_hash, first.template) == ("d", "{{ messages }}")
    record = json.loads((first.path / HARNESS_FILE).read_text())
    assert record["figures"] == {"steps": 3, "rows": 6}
    assert TrainJob.from_json(record["job"]) == world.trainer.jobs[0]
    assert record["versions"]["torch"]
    canary = json.loads((first.path / CANARY).read_text())["ids"]
    assert canary == [list(row.input_ids) for row in ROWS[:4]]


def test_a_trackers_password_is_not_written_beside_the_adapter(world):
    made = world.find(text="mlflow_tracking_uri: http://user:secret@localhost:5000\n")
    assert world.trainer.jobs[0].environment == {"MLFLOW_TRACKING_URI": "http://user:secret@localhost:5000"}
    assert "secret" not in (made.path / HARNESS_FILE).read_text()


def test_rows_are_not_encoded_when_it_is_there(world):
    first = world.find()
    config = world.config()

    def encode():
        raise AssertionError("encoded again")

    again = train_or_find(config, world.base, encode, "d", Template, world.home, trainer=world.trainer, on_event=print)
    assert again == first
    assert len(world.trainer.jobs) == 1


@pytest.mark.parametrize(
    "same",
    [
        {"text": "# a comment\n"},
        {"text": "logging_steps: 7\n"},
        {"text": "save_steps: 5\noutput_dir: /tmp/does-not-matter-here\n"},
        {"text": "serve:\n  max_concurrency: 3\n"},
        {"text": "learning_rate: 0.0002\n"},
    ],
)
def test_what_does_not_change_the_key(world, same):
    def key(text=""):
        return adapter_key(world.config(text=text), world.base, "d", "t")

    assert key(**same) == key()


def test_what_changes_the_key(world, tmp_path):
    def key(text="", base=world.base, data="d", template="t"):
        return adapter_key(world.config(text=text), base, data, template)

    (tmp_path / "watch.py").write_text("class Watch: pass")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "adapter_model.safetensors").write_text("1")
    (tmp_path / "old" / "adapter_config.json").write_text("{}")
    keys = {
        key(),
        key(base=replace(world.base, content_hash="c" * 64)),
        key(base=replace(world.base, tokenizer_hash="c" * 64)),
        key(data="e"),
        key(template="u"),
        key("seed: 1\n"),
        key("learning_rate: 0.00021\n"),
        key("lora_r: 8\n"),
        key("lora_dropout: 0.1\n"),
        key("num_epochs: 2\n"),
        key("micro_batch_size: 2\n"),
        key("load_in_8bit: true\n"),
        key(f"lora_model_dir: {tmp_path}/old\n"),
        key(f"resume_from_checkpoint: {tmp_path}/old\n"),
        key(f"callbacks: ['{tmp_path}/watch.py:Watch']\n"),
    }
    assert len(keys) == 15
    before = key(f"lora_model_dir: {tmp_path}/old\n"), key(f"callbacks: ['{tmp_path}/watch.py:Watch']\n")
    (tmp_path / "old" / "adapter_model.safetensors").write_text("2")
    (tmp_path / "watch.py").write_text("class Watch: other = 1")
    assert not set(before) & {
        key(f"lora_model_dir: {tmp_path}/old\n"),
        key(f"callbacks: ['{tmp_path}/watch.py:Watch']\n"),
    }


def test_the_key_holds_package_versions(world, monkeypatch):
    key = adapter_key(world.config(), world.base, "d", "t")
    monkeypatch.setattr("harness.training.plan.versions", lambda packages: {"torch": "9.9"})
    assert adapter_key(world.config(), world.base, "d", "t") != key


def test_output_dir_receives_a_copy(world, tmp_path):
    out = tmp_path / "copy"
    adapter = world.find(f"output_dir={out}")
    names = sorted(path.name for path in out.iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors", "canary.json", "harness.json"]
    (out / "adapter_model.safetensors").write_bytes(b"changed by hand")
    before = (out / "harness.json").stat().st_mtime_ns
    assert world.find(f"output_dir={out}") == adapter
    weights = (adapter.path / "adapter_model.safetensors").read_bytes()
    assert (out / "adapter_model.safetensors").read_bytes() == weights
    assert (out / "harness.json").stat().st_mtime_ns == before, "what is right already is not written again"
    assert len(world.trainer.jobs) == 1


def test_a_damaged_entry_is_trained_anew(world):
    first = world.find()
    (first.path / "adapter_model.safetensors").write_bytes(b"x")
    assert world.find() == first
    assert len(world.trainer.jobs) == 2
    assert any("damaged" in event.get("message", "") for event in world.events)


def test_failed_training_leaves_nothing(world):
    def failing(job, train_rows, val_rows, out, on_event):
        (out / "adapter_model.safetensors").write_bytes(b"half")
        raise TrainingError("no")

    with pytest.raises(TrainingError, match="no"):
        world.find(trainer=failing)
    assert [path for path in world.home.adapters.glob("*") if not path.name.startswith(".")] == []
    assert not list(world.home.adapters.glob(".building/*"))
    world.find()


def test_a_trainer_that_writes_no_adapter(world):
    with pytest.raises(TrainingError, match="the trainer left no adapter"):
        world.find(trainer=lambda *args: {})


def test_fresh(world, monkeypatch):
    world.find()
    monkeypatch.setattr("harness.store.FolderCache.users", lambda self, key: [])
    world.find(fresh=True)
    assert len(world.trainer.jobs) == 2
    monkeypatch.setattr("harness.store.FolderCache.users", lambda self, key: [123])
    with pytest.raises(StoreError, match=r"in use by process \[123\]"):
        world.find(fresh=True)


def test_checkpoints_lie_in_output_dir_or_in_the_home_until_the_end(world, tmp_path):
    world.find("save_steps=5", f"output_dir={tmp_path}/out")
    assert world.trainer.jobs[-1].checkpoints == f"{tmp_path}/out"
    world.find("save_steps=5", "seed=3")
    own = Path(world.trainer.jobs[-1].checkpoints)
    assert own.is_relative_to(world.home.root)
    assert not own.exists()


JOBS = [
    ("", {"lora.target_modules": None, "evals_per_epoch": 1, "precision": "auto"}),
    ("", {"checkpoints": None, "resume_from": None, "trackers": (), "logging_dir": None}),
    ("adapter: qlora\n", {"kind": "qlora", "load_in_4bit": True, "load_in_8bit": False}),
    ("adapter: qlora\n", {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}),
    ("load_in_8bit: true\n", {"kind": "lora", "load_in_4bit": False, "load_in_8bit": True}),
    ("bf16: true\n", {"precision": "bf16"}),
    ("bf16: false\n", {"precision": "fp32"}),
    ("lora_target_modules: [q_proj, v_proj]\n", {"lora.target_modules": ("q_proj", "v_proj")}),
    ("lora_target_modules: [q_proj]\nlora_target_linear: true\n", {"lora.target_modules": None}),
    ("lora_r: 8\n", {"lora.r": 8, "lora.alpha": 16}),
    ("auto_resume_from_checkpoints: true\n", {"resume_from": LATEST, "checkpoints": "files"}),
    ("saves_per_epoch: 6\n", {"saves_per_epoch": 6, "checkpoints": "files"}),
    ("val_set_size: 0.1\neval_steps: 3\n", {"eval_steps": 3, "evals_per_epoch": 0}),
    ("val_set_size: 0.1\nevals_per_epoch: 4\n", {"eval_steps": 0, "evals_per_epoch": 4}),
    ("cosine_min_lr_ratio: 0.1\n", {"optim.min_lr_ratio": 0.1, "optim.schedule": "cosine"}),
    ("warmup_ratio: 0.2\n", {"optim.warmup_ratio": 0.2, "optim.warmup_steps": 0}),
    ("gradient_checkpointing: true\n", {"gradient_checkpointing": True, "reentrant": False}),
    ("micro_batch_size: 7\n", {"eval_batch_size": 7}),
    ("seed: 5\n", {"seed": 5, "data_seed": 5}),
    ("use_tensorboard: true\n", {"trackers": ("tensorboard",), "logging_dir": "files/runs"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), JOBS)
def test_jobs(world, text, expected):
    job = train_job(world.config(text=text), world.base, Path("files"))
    for name, value in expected.items():
        found = job
        for part in name.split("."):
            found = getattr(found, part)
        assert found == value, name


@pytest.mark.parametrize(("rows", "micro", "window"), [(1, 4, (1, 1)), (3, 4, (3, 1)), (10, 4, (4, 3))])
def test_overfitting_puts_all_rows_in_a_step(world, rows, micro, window):
    job = overfit_job(
        train_job(world.config(f"micro_batch_size={micro}", "lora_dropout=0.3"), world.base, Path()), rows
    )
    assert (job.micro_batch_size, job.gradient_accumulation_steps) == window
    assert job.recall
    assert job.lora.dropout == 0.0


@pytest.mark.parametrize(
    ("kind", "words", "tail"),
    [
        ("memory", "ran out of memory (x). Lower micro_batch_size", True),
        ("killed", "x. Lower micro_batch_size", True),
        ("disk", "could not save: x. Free some space", True),
        ("failed", "training failed: x", True),
        ("input", "x", False),
    ],
)
def test_failures_in_plain_words(kind, words, tail):
    error = training_error(JobFailure(kind, "x", ("its last line",), 1))
    assert words in str(error)
    assert ("its last line" in str(error)) is tail
    assert error.exit_code == 11


def test_the_folder_of_a_failed_launch_is_clean(world, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.training.launch.run_job", lambda *args, **options: JobFailure("failed", "x", ()))
    out = tmp_path / "out"
    with pytest.raises(TrainingError):
        run_training(TrainJob(base="", base_ref=""), ROWS, (), out, print)
    assert list(out.iterdir()) == []
