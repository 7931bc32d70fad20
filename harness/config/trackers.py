"""Experiment trackers and the hub."""

from harness.config.fields import Flag, Section, key

_NO_HUB = "nothing is pushed to a hub; upload the folder in `output_dir`"


class TrackersSection(Section):
    """Where loss and learning rate are reported to; used if the tracker's package is installed."""

    use_tensorboard: Flag = key("Report to TensorBoard.", False, package="tensorboard")
    use_wandb: Flag | None = key(
        "Report to Weights & Biases.", None, default_text="true if `wandb_project` is set", package="wandb"
    )
    wandb_project: str | None = key("Project in Weights & Biases.", None, package="wandb")
    wandb_entity: str | None = key("Team in Weights & Biases.", None, package="wandb")
    wandb_name: str | None = key("Name of the run in Weights & Biases.", None, package="wandb")
    wandb_run_id: str | None = key("Id of the run in Weights & Biases.", None, package="wandb")
    wandb_mode: str | None = key("`online`, `offline` or `disabled`.", None, package="wandb")
    use_mlflow: Flag | None = key(
        "Report to MLflow.", None, default_text="true if `mlflow_experiment_name` is set", package="mlflow"
    )
    mlflow_tracking_uri: str | None = key("Address of the MLflow server.", None, package="mlflow")
    mlflow_experiment_name: str | None = key("Experiment in MLflow.", None, package="mlflow")
    mlflow_run_name: str | None = key("Name of the run in MLflow.", None, package="mlflow")
    use_comet: Flag | None = key(
        "Report to Comet.", None, default_text="true if `comet_project_name` is set", package="comet_ml"
    )
    comet_workspace: str | None = key("Workspace in Comet.", None, package="comet_ml")
    comet_project_name: str | None = key("Project in Comet.", None, package="comet_ml")
    hub_model_id: str | None = key("Repository on the hub.", None, unused=_NO_HUB)
    hub_strategy: str | None = key("When to push to the hub.", None, unused=_NO_HUB)
    hub_revision: str | None = key("Branch on the hub.", None, unused=_NO_HUB)
    hub_private_repo: Flag | None = key("Whether the repository on the hub is private.", None, unused=_NO_HUB)
    push_dataset_to_hub: str | None = key("Repository on the hub for the encoded rows.", None, unused=_NO_HUB)
    hf_use_auth_token: Flag | None = key("Log in to the hub.", None, unused="the token of the environment is used")
