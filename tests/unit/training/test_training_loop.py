import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny_model import VOCABULARY, Row, make_rows
from transformers import AutoModelForCausalLM

from harness.errors import TrainingError
from harness.training.job import LATEST, LoraSpec, OptimSpec, TrainJob
from harness.training.plan import overfit_job
from harness.types import to_json

WEIGHTS = "adapter_model.safetensors"


def weights(folder):
    return (folder / WEIGHTS).read_bytes()


def with_optim(job, **changes):
    return replace(job, optim=replace(job.optim, **changes))


def test_a_job_survives_json(job):
    job = replace(
        job, callbacks=("a:B",), tracker_options={"wandb": {"name": "x"}}, lora=LoraSpec(target_modules=("q_proj",))
    )
    assert TrainJob.from_json(json.loads(json.dumps(to_json(job)))) == job


def test_equal_seeds_give_equal_bytes_and_others_do_not(job, run_job):
    job = replace(job, lora=replace(job.lora, dropout=0.1))
    rows = make_rows(10)
    first, second = run_job(job, rows), run_job(job, rows)
    assert weights(first[1]) == weights(second[1])
    assert (first[1] / "adapter_config.json").read_bytes() == (second[1] / "adapter_config.json").read_bytes()
    assert first[0]["losses"] == second[0]["losses"]
    for other in (replace(job, seed=1), replace(job, data_seed=1)):
        assert weights(run_job(other, rows)[1]) != weights(first[1])


@pytest.mark.parametrize(
    "name", ["adamw_torch", "adamw_torch_fused", "adamw_bnb_8bit", "adamw_8bit", "adafactor", "sgd"]
)
def test_the_loss_falls_with_every_optimizer(job, run_job, name):
    rate = {"sgd": 0.5, "adafactor": 0.1}.get(name, 2e-2)
    figures, _, events = run_job(replace(with_optim(job, name=name, learning_rate=rate), num_epochs=8), make_rows(6))
    assert figures["steps"] == 16 == len(figures["losses"])
    assert figures["losses"][-1] < figures["losses"][0] - 0.1
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 17))


def test_paged_optimizers_need_a_gpu(job, run_job):
    with pytest.raises(TrainingError, match="adamw_bnb_8bit"):
        run_job(with_optim(job, name="paged_adamw_8bit"), make_rows(2))


def test_trained_weights_are_fp32_whatever_the_base_is_computed_in(job, run_job):
    figures, out, _ = run_job(replace(job, precision="bf16", max_steps=2), make_rows(6))
    assert figures["precision"] == "bf16"
    assert {tensor.dtype for tensor in load_file(out / WEIGHTS).values()} == {torch.float32}


def test_what_is_trained_is_counted(job, run_job):
    _, out, events = run_job(replace(job, max_steps=1), make_rows(3))
    start = events[0]
    assert start["event"] == "start"
    assert start["trainable"] == sum(tensor.numel() for tensor in load_file(out / WEIGHTS).values())
    base = AutoModelForCausalLM.from_pretrained(job.base)
    total = sum(p.numel() for p in base.parameters()) + start["trainable"]
    assert start["parameters"] == total
    assert start["share"] == start["trainable"] / total
    assert start["modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def test_figures(job, run_job):
    rows = make_rows(7)
    figures, _, _ = run_job(replace(job, num_epochs=2), rows)
    assert figures["tokens"]["non_pad"] == 2 * sum(row.length for row in rows)
    assert figures["tokens"]["trained"] == 2 * sum(row.trained for row in rows)
    assert figures["tokens"]["all"] >= figures["tokens"]["non_pad"]
    assert figures["peak_memory_bytes"] > 50e6
    for name, count in figures["tokens"].items():
        assert figures["tokens_per_second"][name] == pytest.approx(count / figures["train_seconds"])
    assert json.loads(json.dumps(figures)) == figures


def test_logging_steps_average_over_tokens(job, run_job):
    figures, _, events = run_job(replace(job, num_epochs=3, logging_steps=4), make_rows(7))
    logged = [(event["step"], event["loss"]) for event in events if event["event"] == "step"]
    assert [step for step, _ in logged] == [4, 6]
    assert min(figures["losses"][:4]) < logged[0][1] < max(figures["losses"][:4])


def test_modules(job, run_job):
    _, out, _ = run_job(
        replace(job, max_steps=1, lora=LoraSpec(r=2, target_modules=("q_proj",), rslora=True)), make_rows(2)
    )
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["target_modules"] == ["q_proj"]
    assert config["use_rslora"] is True
    assert config["base_model_name_or_path"] == "tiny"
    assert all(".q_proj." in name for name in load_file(out / WEIGHTS))
    assert not (out / "README.md").exists()


def test_modules_to_save(job, run_job):
    _, out, _ = run_job(replace(job, max_steps=2, lora=LoraSpec(r=2, modules_to_save=("lm_head",))), make_rows(4))
    assert any("lm_head" in name for name in load_file(out / WEIGHTS))


def test_target_modules_that_are_not_there(job, run_job):
    with pytest.raises(TrainingError, match="nothing_proj"):
        run_job(replace(job, lora=LoraSpec(target_modules=("nothing_proj",))), make_rows(2))


def test_ids_beyond_the_embeddings(job, run_job):
    ids = torch.tensor([3, VOCABULARY, 4])
    with pytest.raises(TrainingError, match=rf"token id {VOCABULARY}.*{VOCABULARY} tokens"):
        run_job(job, [Row("a", ids, ids)])


def test_fp16_needs_a_gpu(job, run_job):
    with pytest.raises(TrainingError, match="bf16: auto"):
        run_job(replace(job, precision="fp16"), make_rows(2))


def test_going_on_from_an_adapter(job, run_job):
    _, first, _ = run_job(replace(job, max_steps=3), make_rows(8))
    still = with_optim(replace(job, max_steps=1, lora=replace(job.lora, init_from=str(first))), learning_rate=1e-30)
    assert weights(run_job(still, make_rows(8))[1]) == weights(first)


def test_an_adapter_that_does_not_fit(job, run_job, tmp_path):
    with pytest.raises(TrainingError, match="cannot be put on this base"):
        run_job(replace(job, lora=replace(job.lora, init_from=str(tmp_path))), make_rows(2))


def test_nan_loss_names_the_rows(job, run_job, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(job.base)
    model.config.tie_word_embeddings = False
    with torch.no_grad():
        model.get_input_embeddings().weight[50] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    fine = [Row(name, torch.tensor([3, 4, 5]), torch.tensor([3, 4, 5])) for name in ("a", "b", "c")]
    bad = Row("bad one", torch.tensor([3, 50, 5]), torch.tensor([3, 50, 5]))
    job = replace(job, base=str(tmp_path / "broken"), micro_batch_size=1, gradient_accumulation_steps=4)
    with pytest.raises(TrainingError, match=r"the loss is nan in step 1, in a batch of these rows: bad one\."):
        run_job(job, [*fine, bad])


def test_the_watchdog(job, run_job):
    job = replace(job, loss_watchdog_threshold=0.01, loss_watchdog_patience=2, num_epochs=5)
    with pytest.raises(TrainingError, match=r"step 2.*loss_watchdog_threshold \(0.01\) for 2 steps"):
        run_job(job, make_rows(8))


def test_early_stopping_keeps_the_best_weights(job, run_job):
    train_rows, val_rows = make_rows(4, seed=1), make_rows(4, seed=2)
    job = with_optim(replace(job, num_epochs=30, eval_steps=1, early_stopping_patience=3), learning_rate=5e-2)
    figures, out, events = run_job(job, train_rows, val_rows)
    losses = [entry["loss"] for entry in figures["evals"]]
    best = losses.index(min(losses)) + 1
    assert figures["steps"] == best + 3 < 30
    assert "did not fall for 3 evaluations" in figures["stopped"]
    assert [event["loss"] for event in events if event["event"] == "eval"] == losses
    _, expected, _ = run_job(replace(job, max_steps=best, early_stopping_patience=0), train_rows, val_rows)
    assert weights(out) == weights(expected)
    assert sorted(path.name for path in out.iterdir()) == ["adapter_config.json", WEIGHTS]


def test_gradient_clipping(job, run_job):
    """With SGD at rate 1 one step moves the weights by exactly the clipped gradient."""
    job = with_optim(replace(job, max_steps=1), name="sgd", learning_rate=1.0, max_grad_norm=0.01)
    still = with_optim(job, learning_rate=1e-30)
    rows = make_rows(4)
    _, moved, events = run_job(job, rows)
    _, start, _ = run_job(still, rows)
    norm = next(event["grad_norm"] for event in events if event["event"] == "step")
    before, after = load_file(start / WEIGHTS), load_file(moved / WEIGHTS)
    length = math.sqrt(sum(float((after[name] - before[name]).double().square().sum()) for name in before))
    assert norm > 0.1
    assert length == pytest.approx(0.01, rel=1e-3)


def test_weight_decay_shrinks_matrices(job, run_job):
    job = with_optim(replace(job, max_steps=1), learning_rate=1e-3, weight_decay=0.0)
    rows = make_rows(4)
    plain = load_file(run_job(job, rows)[1] / WEIGHTS)
    decayed = load_file(run_job(with_optim(job, weight_decay=10.0), rows)[1] / WEIGHTS)
    name = next(name for name in plain if "lora_A" in name)
    start = load_file(run_job(with_optim(job, learning_rate=1e-30), rows)[1] / WEIGHTS)[name]
    assert torch.allclose(decayed[name], plain[name] - 1e-3 * 10.0 * start, atol=1e-7)


WATCH = """
import json
from harness.training.callbacks import STOP

class Watch:
    def __getattr__(self, name):
        if not name.startswith("on_"):
            raise AttributeError(name)
        def note(event):
            with open({log!r}, "a") as file:
                file.write(json.dumps([name, event.get("step")]) + "\\n")
            return STOP if name == "on_step" and event["step"] == {stop} else None
        return note

class Quiet:
    pass
"""


def test_callbacks(job, run_job, tmp_path):
    log = tmp_path / "log.jsonl"
    (tmp_path / "watch.py").write_text(WATCH.format(log=str(log), stop=3))
    job = replace(
        job, callbacks=(f"{tmp_path}/watch.py:Watch", f"{tmp_path}/watch.py:Quiet"), num_epochs=4, eval_steps=2,
        save_steps=2, checkpoints=str(tmp_path / "checkpoints"),
    )  # fmt: skip
    figures, out, _ = run_job(job, make_rows(8), make_rows(2, seed=9))
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [["on_start", None], ["on_step", 1], ["on_step", 2], ["on_eval", 2], ["on_save", 2], ["on_step", 3]]
    assert calls == [*steps, ["on_end", None]] or calls[:-1] == steps
    assert figures["stopped"] == "a callback stopped it at step 3"
    assert (out / WEIGHTS).is_file()


@pytest.mark.parametrize("reference", ["no_such_module:Watch", "json:Watch", "nothing", "missing.py:Watch"])
def test_callbacks_that_cannot_be_loaded(job, run_job, reference):
    with pytest.raises(TrainingError, match=r"module:Class or file\.py:Class"):
        run_job(replace(job, callbacks=(reference,)), make_rows(2))


def test_overfitting_learns_rows_by_heart(job, run_job):
    rows = make_rows(3, longest=10)
    job = replace(with_optim(job, learning_rate=3e-2), lora=LoraSpec(r=16, alpha=32, dropout=0.5))
    job = overfit_job(job, 3)
    figures, _, _ = run_job(job, rows)
    assert figures["recall"]["rows"] == 3
    assert figures["recall"]["exact_rows"] == 3
    assert figures["recall"]["token_accuracy"] == 1.0
    assert figures["recall"]["loss"] < figures["losses"][0] / 2


def test_stopping_when_nothing_is_left_to_learn(job, run_job):
    job = replace(with_optim(job, learning_rate=3e-2), num_epochs=50, logging_steps=100, stop_below_loss=4.0)
    figures, _, events = run_job(job, make_rows(4))
    assert figures["losses"][-1] < 4.0 <= min(figures["losses"][:-1])
    assert figures["stopped"] == f"the loss fell below 4 at step {figures['steps']}"
    assert [event["step"] for event in events if event["event"] == "step"] == [figures["steps"]]


def test_recall_of_a_model_that_learned_nothing(job, run_job):
    figures, _, _ = run_job(with_optim(replace(job, max_steps=1, recall=True), learning_rate=1e-30), make_rows(3))
    assert figures["recall"]["exact_rows"] == 0
    assert figures["recall"]["token_accuracy"] < 0.5


def test_tensorboard(job, run_job, tmp_path):
    job = replace(job, trackers=("tensorboard",), logging_dir=str(tmp_path / "runs"), max_steps=2)
    run_job(job, make_rows(4))
    assert list((tmp_path / "runs").rglob("events.out.tfevents.*"))


def test_resume_latest_without_a_checkpoint_starts_at_the_beginning(job, run_job, tmp_path):
    job = replace(job, max_steps=2)
    fresh = run_job(job, make_rows(4))[1]
    asked = replace(job, resume_from=LATEST, checkpoints=str(tmp_path / "none"), save_steps=50)
    assert weights(run_job(asked, make_rows(4))[1]) == weights(fresh)


def test_default_optimizer_is_the_fused_one():
    assert OptimSpec().name == "adamw_torch_fused"
