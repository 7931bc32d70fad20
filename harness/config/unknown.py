"""Says that a key is unknown, and which one was probably meant."""

import difflib
from collections.abc import Mapping

from pydantic import BaseModel

from harness.config.fields import fields_of, section_of, traits_of
from harness.config.marks import KeyPath
from harness.config.overrides import show_path
from harness.config.unsupported import UNSUPPORTED

_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "base_model": ("model", "model_name", "model_name_or_path", "model_id", "base_model_name_or_path"),
    "adapter": ("peft_type", "finetuning_type"),
    "lora_r": ("r", "rank", "lora_rank", "peft_r"),
    "lora_alpha": ("alpha", "peft_alpha"),
    "lora_dropout": ("dropout", "peft_dropout"),
    "lora_target_modules": ("target_modules", "lora_target", "lora_modules"),
    "lora_modules_to_save": ("modules_to_save", "additional_target"),
    "peft_use_rslora": ("use_rslora", "rslora", "lora_use_rslora"),
    "lora_model_dir": ("adapter_name_or_path", "adapter_path", "lora_path"),
    "datasets": ("dataset", "data", "train_data", "train_file", "train_dataset"),
    "val_set_size": ("val_size", "validation_size", "eval_set_size", "test_size", "validation_split"),
    "sequence_len": (
        "max_seq_len", "max_seq_length", "max_sequence_length", "max_sequence_len", "max_length", "seq_len",
        "seq_length", "sequence_length", "cutoff_len", "model_max_length", "context_length",
    ),
    "micro_batch_size": (
        "batchsize", "per_device_train_batch_size", "per_device_batch_size", "train_batch_size", "mini_batch_size",
    ),
    "eval_batch_size": ("per_device_eval_batch_size", "val_batch_size"),
    "gradient_accumulation_steps": ("grad_accum", "grad_accum_steps", "gradient_accumulation", "accumulation_steps"),
    "learning_rate": ("lr",),
    "lr_scheduler": ("lr_scheduler_type", "scheduler", "scheduler_type", "lr_schedule"),
    "num_epochs": ("epochs", "epoch", "num_train_epochs", "n_epochs", "max_epochs"),
    "max_steps": ("steps", "num_steps", "train_steps", "max_train_steps", "num_train_steps"),
    "optimizer": ("optim",),
    "weight_decay": ("wd",),
    "max_grad_norm": ("grad_clip", "gradient_clip", "gradient_clipping", "gradient_clip_val", "clip_grad_norm"),
    "warmup_steps": ("warmup", "num_warmup_steps"),
    "gradient_checkpointing": ("grad_checkpointing", "activation_checkpointing"),
    "output_dir": ("output", "out_dir", "output_path", "save_dir"),
    "seed": ("random_seed", "random_state"),
}  # fmt: skip
MEANT = {other: name for name, others in _OTHER_NAMES.items() for other in others}
"""By the name that another trainer gives it: the key."""


def unknown_key(path: KeyPath, owner: type[BaseModel] | None, model: type[BaseModel]) -> str:
    """Say that the key ``path`` of the section ``owner`` of ``model`` is unknown, and what to write instead."""
    name = str(path[-1])
    section = next((str(part) for part in path[:-1] if isinstance(part, str)), "")
    shown = f"unknown key {name!r}" + (f" in {show_path(path[:-1])}" if len(path) > 1 else "")
    return f"{shown}; {_advice(name.strip().lower().replace('-', '_').replace(' ', '_'), section, owner, model)}"


def _advice(name: str, section: str, owner: type[BaseModel] | None, model: type[BaseModel]) -> str:
    usable, unsupported = _usable_keys(owner), UNSUPPORTED.get(section, {})
    meant = MEANT.get(name, name)
    if meant in usable:
        return f"did you mean {meant!r}?"
    home = _home_of(name, model, owner)
    if home:
        return f"{name!r} belongs {home}"
    # Nearly the same word is that word, also where it is of no use here.
    same = difflib.get_close_matches(name, [*usable, *unsupported], 1, 0.85)
    if same and same[0] in unsupported:
        return f"{same[0]!r} is not supported: {unsupported[same[0]]}"
    near = same or difflib.get_close_matches(name, usable, 1, 0.7)
    near = near or [other for other in usable if other.startswith(f"{name}_")]
    return f"did you mean {near[0]!r}?" if near else "no key here is like it"


def _usable_keys(owner: type[BaseModel] | None) -> list[str]:
    """Return the keys of a section that do something: a legacy key is no advice."""
    return [name for name, field in fields_of(owner).items() if not traits_of(field).unused] if owner else []


def _home_of(name: str, model: type[BaseModel], owner: type[BaseModel] | None) -> str | None:
    if owner is not model and name in fields_of(model):
        return "at the top level"
    for section_name, field in fields_of(model).items():
        section = section_of(field)
        if section and section[0] is not owner and name in fields_of(section[0]):
            return f"into an entry of {section_name}" if section[1] else f"under {section_name}"
    return None
