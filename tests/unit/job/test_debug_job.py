from harness.job.train import DEBUG_STEPS, debug_job
from harness.training import LoraSpec, OptimSpec, TrainJob


def test_a_look_for_mistakes_starts_afresh_and_keeps_nothing():
    job = TrainJob(
        base="b", base_ref="b", lora=LoraSpec(), optim=OptimSpec(), num_epochs=3, checkpoints="out",
        resume_from="out/checkpoint-9", save_steps=1, evals_per_epoch=1, early_stopping_patience=2,
    )  # fmt: skip
    cut = debug_job(job)
    assert (cut.max_steps, cut.checkpoints, cut.resume_from) == (DEBUG_STEPS, None, None)
    assert (cut.evals_per_epoch, cut.eval_steps, cut.early_stopping_patience) == (0, 0, 0)
