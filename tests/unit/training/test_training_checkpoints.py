import errno
import json
from dataclasses import replace

import pytest
import torch
from tiny_model import make_rows

from harness.errors import TrainingError
from harness.training.checkpoints import checkpoints
from harness.training.job import LATEST, LoraSpec

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def saving(job, tmp_path):
    """A job of 6 steps in 2 epochs, with everything in it that could make a resumed run differ."""
    return replace(
        job, checkpoints=str(tmp_path / "checkpoints"), save_steps=1, num_epochs=2, lora=LoraSpec(r=4, dropout=0.3),
        optim=replace(job.optim, schedule="cosine", warmup_steps=2), loss_watchdog_threshold=50.0, group_by_length=True,
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", ["adamw_torch_fused", "adamw_bnb_8bit", "adafactor"])
def test_resuming_equals_never_having_stopped(saving, run_job, tmp_path, optimizer):
    job = replace(saving, optim=replace(saving.optim, name=optimizer))
    rows, val = make_rows(10), make_rows(3, seed=5)
    figures, whole, _ = run_job(job, rows, val)
    assert figures["steps"] == 6
    for step in (1, 3, 4, 6):
        path = tmp_path / "checkpoints" / f"checkpoint-{step}"
        resumed, out, events = run_job(replace(job, resume_from=str(path), checkpoints=None), rows, val)
        assert (out / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
        assert resumed["losses"] == figures["losses"]
        assert resumed["tokens"] == figures["tokens"]
        assert [event["step"] for event in events if event["event"] == "step"] == list(range(step + 1, 7))


def test_twice_as_long_equals_once_and_once_more(saving, run_job, tmp_path):
    """With a rate that does not depend on the length, a finished run can be made longer."""
    job = replace(saving, optim=replace(saving.optim, schedule="constant_with_warmup"), save_steps=0, saves_per_epoch=1)
    rows = make_rows(11)
    _, whole, _ = run_job(replace(job, num_epochs=2), rows)
    short = replace(job, num_epochs=1, checkpoints=str(tmp_path / "short"))
    assert run_job(short, rows)[0]["steps"] == 3
    longer = replace(job, num_epochs=2, resume_from=str(tmp_path / "short" / "checkpoint-3"))
    assert (run_job(longer, rows)[1] / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_a_checkpoint_is_an_adapter(saving, run_job, tmp_path):
    _, out, _ = run_job(replace(saving, max_steps=2), make_rows(8))
    last = tmp_path / "checkpoints" / "checkpoint-2"
    assert (last / WEIGHTS).read_bytes() == (out / WEIGHTS).read_bytes()
    assert (last / "adapter_config.json").read_bytes() == (out / "adapter_config.json").read_bytes()


def test_old_checkpoints_are_removed(saving, run_job, tmp_path):
    run_job(replace(saving, save_total_limit=2), make_rows(10))
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["checkpoint-5", "checkpoint-6"]


def test_order_is_by_number(tmp_path):
    for name in ("checkpoint-9", "checkpoint-10", ".checkpoint-11.partial", "checkpoint-x", "checkpoint-2"):
        (tmp_path / name).mkdir()
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-9", "checkpoint-10"]


def test_latest_is_of_the_same_training(saving, run_job, tmp_path):
    rows = make_rows(10)
    run_job(replace(saving, max_steps=3), rows)
    again = replace(saving, max_steps=3, resume_from=LATEST)
    assert [event["step"] for event in run_job(again, rows)[2] if event["event"] == "resume"] == [3]
    other = replace(again, optim=replace(saving.optim, learning_rate=1e-5), save_steps=100)
    assert [event for event in run_job(other, rows)[2] if event["event"] == "resume"] == []


def test_a_failed_save_leaves_what_was_there(saving, run_job, tmp_path, monkeypatch):
    real, calls = torch.save, []

    def full(value, path):
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(value, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        run_job(saving, make_rows(10))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["checkpoint-1", "checkpoint-2"]
    monkeypatch.undo()
    assert run_job(replace(saving, resume_from=LATEST), make_rows(10))[0]["steps"] == 6


def test_bad_checkpoints(saving, run_job, tmp_path):
    rows = make_rows(10)
    with pytest.raises(
        TrainingError, match=r"not a checkpoint: optimizer.pt, state.json, adapter_model.safetensors missing"
    ):
        run_job(replace(saving, resume_from=str(tmp_path)), rows)
    run_job(replace(saving, max_steps=2), rows)
    path = tmp_path / "checkpoints" / "checkpoint-2"
    with pytest.raises(TrainingError, match=r"seed: 42 there, 7 now.*lora_model_dir"):
        run_job(replace(saving, resume_from=str(path), seed=7), rows)
    with pytest.raises(TrainingError, match="data: '' there, 'b' now"):
        run_job(replace(saving, resume_from=str(path)), rows, data_digest="b")
    with pytest.raises(TrainingError, match="2 steps into training, and num_epochs or max_steps ask for 1"):
        run_job(replace(saving, resume_from=str(path), max_steps=1), rows)
    (path / "state.json").write_text("{")
    with pytest.raises(TrainingError, match="cannot be read"):
        run_job(replace(saving, resume_from=str(path)), rows)


def test_early_stopping_goes_on_counting(saving, run_job, tmp_path):
    rows, val = make_rows(4, seed=1), make_rows(4, seed=2)
    job = replace(
        saving, num_epochs=30, eval_steps=1, early_stopping_patience=3, lora=LoraSpec(r=4),
        optim=replace(saving.optim, learning_rate=5e-2, schedule="constant"),
    )  # fmt: skip
    figures, whole, _ = run_job(job, rows, val)
    best = min(figures["evals"], key=lambda entry: entry["loss"])["step"]
    assert figures["steps"] == best + 3
    # stopped by hand one step after the best evaluation, then continued
    interrupted = replace(job, checkpoints=str(tmp_path / "again"), max_steps=best + 1)
    again = tmp_path / "again" / f"checkpoint-{best + 1}"
    run_job(replace(interrupted, early_stopping_patience=3), rows, val)
    state = json.loads((again / "state.json").read_text())
    assert state["since"] == 1
    _, best_only, _ = run_job(
        replace(job, checkpoints=str(tmp_path / "third"), max_steps=best, early_stopping_patience=0), rows
    )
    assert (best_only / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
