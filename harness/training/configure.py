"""From the keys of a config to a training job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.config import RunConfig
from harness.config.machine import has_cuda
from harness.training.job import LATEST, LoraSpec, OptimSpec, Precision, TrainJob
from harness.types import Base


def train_job(config: RunConfig, base: Base, files: Path) -> TrainJob:
    """Return the job that ``config`` describes; ``files`` receives checkpoints and logs."""
    saves = bool(config.save_steps or config.saves_per_epoch or config.auto_resume_from_checkpoints)
    bnb = config.bnb_config_kwargs
    evals = 0 if config.eval_steps else config.evals_per_epoch or 1
    return TrainJob(
        base=str(base.path),
        base_ref=base.ref,
        kind=config.adapter,
        lora=_lora(config),
        optim=_optim(config),
        load_in_4bit=config.load_in_4bit,
        load_in_8bit=config.load_in_8bit,
        bnb_4bit_quant_type=bnb.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=bnb.bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=bnb.bnb_4bit_compute_dtype,
        llm_int8_threshold=bnb.llm_int8_threshold,
        precision=_precision(config),
        tf32=config.tf32 and has_cuda(),
        gradient_checkpointing=config.gradient_checkpointing,
        reentrant=config.gradient_checkpointing_kwargs.use_reentrant,
        attention="flash_attention_2" if config.flash_attention and has_cuda() else None,
        sequence_len=config.sequence_len,
        pad_to_sequence_len=config.pad_to_sequence_len,
        group_by_length=config.group_by_length,
        micro_batch_size=config.micro_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        eval_batch_size=config.eval_batch_size,
        num_epochs=config.num_epochs,
        max_steps=config.max_steps or 0,
        seed=config.seed,
        data_seed=config.data_seed,
        logging_steps=config.logging_steps,
        eval_steps=config.eval_steps or 0,
        evals_per_epoch=evals,
        save_steps=config.save_steps or 0,
        saves_per_epoch=0 if config.save_steps else config.saves_per_epoch or 0,
        save_total_limit=config.save_total_limit or 0,
        checkpoints=str(files) if saves else None,
        resume_from=config.resume_from_checkpoint or (LATEST if config.auto_resume_from_checkpoints else None),
        early_stopping_patience=config.early_stopping_patience or 0,
        loss_watchdog_threshold=config.loss_watchdog_threshold or 0.0,
        loss_watchdog_patience=config.loss_watchdog_patience or 3,
        callbacks=config.callbacks,
        trackers=config.trackers,
        tracker_project=_project(config),
        tracker_options=_tracker_options(config),
        logging_dir=str(files / "runs") if config.trackers else None,
        environment={"MLFLOW_TRACKING_URI": config.mlflow_tracking_uri} if config.mlflow_tracking_uri else {},
    )


def _lora(config: RunConfig) -> LoraSpec:
    return LoraSpec(
        r=config.lora_r,
        alpha=config.lora_alpha,
        dropout=config.lora_dropout,
        target_modules=None if config.lora_target_linear else config.lora_target_modules,
        modules_to_save=config.lora_modules_to_save,
        rslora=config.peft_use_rslora,
        fan_in_fan_out=config.lora_fan_in_fan_out,
        init_from=config.lora_model_dir,
    )


def _optim(config: RunConfig) -> OptimSpec:
    return OptimSpec(
        name=config.optimizer,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        beta1=config.adam_beta1,
        beta2=config.adam_beta2,
        epsilon=config.adam_epsilon,
        max_grad_norm=config.max_grad_norm,
        schedule=config.lr_scheduler,
        warmup_steps=config.warmup_steps or 0,
        warmup_ratio=config.warmup_ratio or 0.0,
        min_lr_ratio=config.cosine_min_lr_ratio or 0.0,
    )


def _precision(config: RunConfig) -> Precision:
    if config.fp16 and has_cuda():
        return "fp16"
    if config.bf16 == "auto":
        return "auto"
    return "bf16" if config.bf16 else "fp32"


def _project(config: RunConfig) -> str:
    return config.wandb_project or config.mlflow_experiment_name or config.comet_project_name or "harness"


def _tracker_options(config: RunConfig) -> dict[str, Any]:
    """Return what Accelerate passes to each tracker when it is made."""
    wandb = {
        "entity": config.wandb_entity,
        "name": config.wandb_name,
        "id": config.wandb_run_id,
        "mode": config.wandb_mode,
    }
    options = {
        "wandb": wandb,
        "mlflow": {"run_name": config.mlflow_run_name},
        "comet_ml": {"workspace": config.comet_workspace},
    }
    given = {name: {key: value for key, value in keys.items() if value} for name, keys in options.items()}
    return {name: keys for name, keys in given.items() if keys and name in config.trackers}
