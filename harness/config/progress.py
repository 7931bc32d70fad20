"""What happens along the way: evaluation, checkpoints, logging."""

from typing import Literal

from harness.config.fields import Flag, Int, Section, key


class ProgressSection(Section):
    """Evaluation, checkpoints and logging while training."""

    eval_steps: Int | None = key(
        "Optimizer steps between two measurements of the validation loss.",
        None,
        default_text="at the end of each epoch",
        affects="weights if early_stopping_patience",
        gt=0,
    )
    evals_per_epoch: Int | None = key(
        "Measurements of the validation loss per epoch.",
        None,
        default_text="1",
        affects="weights if early_stopping_patience",
        gt=0,
    )
    early_stopping_patience: Int | None = key(
        "Stop after as many measurements in a row without a lower validation loss, and keep the best weights.",
        None,
        affects="weights",
        gt=0,
    )
    output_dir: str | None = key("Folder that receives a copy of the adapter.", None, path="path")
    save_steps: Int | None = key("Optimizer steps between two checkpoints.", None, gt=0)
    saves_per_epoch: Int | None = key("Checkpoints per epoch.", None, default_text="no checkpoints", gt=0)
    save_total_limit: Int | None = key("Checkpoints to keep; older ones are removed.", None, default_text="all", gt=0)
    save_safetensors: Literal[True] = key(
        "Adapters are always saved as safetensors.",
        True,
        allowed="true (adapters are always saved as safetensors)",
    )
    resume_from_checkpoint: str | None = key("Checkpoint folder to go on from.", None, affects="weights", path="path")
    auto_resume_from_checkpoints: Flag = key(
        "Go on from the newest checkpoint of the same training, if there is one.", False
    )
    logging_steps: Int = key("Optimizer steps between two lines of progress.", 1, gt=0)
