"""Axolotl's keys that are known and not supported here: errors that say so, and what to do instead."""

from collections.abc import Mapping
from typing import Any

_PACKING = "packing several rows into one is not available yet; remove the key (group_by_length saves padding)"
_SHARDED = "training runs in one process; remove the key"
_PREFERENCE = "only supervised fine-tuning is supported"
_ALL_WEIGHTS = "only LoRA and QLoRA adapters are trained"
_KERNELS = "custom kernels are not supported; remove the key"
_FORMATS = "other number formats are not supported; bf16, fp16 and tf32 are"
_LORA_VARIANT = "this variant of LoRA is not supported; plain LoRA and peft_use_rslora are"
_SAMPLES = "replies are tested by the suites, not shown in a table while training; remove the key"
_BATCH = "set micro_batch_size and gradient_accumulation_steps"
_VOCABULARY = "the vocabulary cannot be extended; use special_tokens to name tokens that are in it"
_LOADING = "rows are loaded in one process and kept in memory; remove the key"
_ONE_OPTIMIZER = "this option of the optimizer or the schedule is not supported; remove the key"
_LATER = "this section is not available yet; remove it"

_TOP: dict[str, tuple[str, ...]] = {
    _PACKING: (
        "sample_packing", "eval_sample_packing", "sample_packing_group_size", "sample_packing_bin_size",
        "sample_packing_sequentially", "sample_packing_eff_est", "multipack_real_batches", "batch_flattening",
        "curriculum_sampling",
    ),
    _SHARDED: (
        "deepspeed", "fsdp", "fsdp_config", "fsdp_version", "fsdp_final_state_dict_type", "ddp", "ddp_timeout",
        "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_find_unused_parameters", "tensor_parallel_size",
        "context_parallel_size", "sequence_parallel_degree", "dp_shard_size", "dp_replicate_size", "heads_k_stride",
        "ring_attn_func", "accelerator_config", "use_ray", "ray_run_name", "ray_num_workers", "resources_per_worker",
        "device", "device_map", "max_memory", "gpu_memory_limit", "low_cpu_mem_usage", "num_processes",
        "qlora_sharded_model_loading",
    ),
    _PREFERENCE: (
        "rl", "trl", "dpo_beta", "rl_beta", "orpo_alpha", "rpo_alpha", "cpo_alpha", "simpo_gamma",
        "kto_desirable_weight", "kto_undesirable_weight", "dpo_use_weighting", "dpo_label_smoothing", "reward_model",
        "process_reward_model", "num_labels", "max_prompt_len", "pretraining_dataset", "streaming",
        "pretraining_sample_concatenation", "pretrain_multipack_attn", "pretrain_multipack_buffer_size", "kd_trainer",
        "processor_type", "image_size", "is_multimodal",
    ),
    _ALL_WEIGHTS: (
        "unfrozen_parameters", "lisa_n_layers", "lisa_step_interval", "lisa_layers_attribute", "relora",
        "relora_steps", "relora_warmup_steps", "relora_prune_ratio", "relora_cpu_offload", "jagged_restart_steps",
        "jagged_restart_warmup_steps", "jagged_restart_anneal_steps",
    ),
    _KERNELS: (
        "flash_attn_cross_entropy", "flash_attn_rms_norm", "flash_attn_fuse_qkv", "flash_attn_fuse_mlp",
        "flash_optimum", "flex_attention", "flex_attn_compile_kwargs", "s2_attention", "eager_attention",
        "sage_attention", "attn_implementation", "unsloth_cross_entropy_loss", "unsloth_lora_mlp", "unsloth_lora_qkv",
        "unsloth_lora_o", "unsloth_rms_norm", "unsloth_rope", "lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel",
        "torch_compile", "torch_compile_backend", "torch_compile_mode", "liger_rope", "liger_rms_norm",
        "liger_glu_activation", "liger_layer_norm", "liger_fused_linear_cross_entropy", "liger_cross_entropy",
        "cut_cross_entropy", "use_kernels", "plugins", "chunked_cross_entropy",
    ),
    _FORMATS: ("fp8", "bfloat16", "float16", "float32", "gptq", "gptq_groupsize", "qat", "quantization"),
    _LORA_VARIANT: (
        "peft", "peft_use_dora", "peft_init_lora_weights", "peft_layer_replication", "peft_layers_to_transform",
        "peft_layers_pattern", "peft_trainable_token_indices", "peft_autocast_adapter_dtype",
        "lora_target_parameters", "loraplus_lr_ratio", "loraplus_lr_embedding", "lora_on_cpu", "merge_lora",
        "llama4_linearized_experts",
    ),
    _SAMPLES: (
        "eval_table_size", "eval_max_new_tokens", "do_causal_lm_eval", "eval_causal_lm_metrics", "do_bench_eval",
        "bench_dataset", "bench_split", "generate_samples", "num_generation_samples", "generation_max_new_tokens",
    ),
    _BATCH: ("batch_size", "auto_find_batch_size"),
    _VOCABULARY: (
        "tokens", "added_tokens_overrides", "resize_token_embeddings_to_32x", "mean_resizing_embeddings",
        "shrink_embeddings", "embeddings_skip_upcast", "fix_untrained_tokens", "eot_tokens", "embedding_lr",
        "embedding_lr_scale",
    ),
    _LOADING: (
        "dataset_shard_num", "dataset_shard_idx", "dataset_processes", "dataset_num_proc", "dataset_keep_in_memory",
        "dataloader_pin_memory", "dataloader_num_workers", "dataloader_prefetch_factor", "dataloader_drop_last",
        "skip_prepare_dataset", "remove_unused_columns", "shuffle_merged_datasets", "dataset_exact_deduplication",
        "min_sample_len", "preprocess_iterable",
    ),
    _ONE_OPTIMIZER: (
        "optim_args", "optim_target_modules", "torchdistx_path", "lr_scheduler_kwargs", "lr_quadratic_warmup",
        "cosine_constant_lr_ratio", "lr_div_factor", "lr_groups", "adam_epsilon2", "adam_beta3",
        "neftune_noise_alpha", "noisy_embedding_alpha",
    ),
    _LATER: ("judge", "gates", "curate", "sweep"),
    "set val_set_size": ("test_datasets",),
    "set eval_steps or evals_per_epoch": ("eval_strategy", "evaluation_strategy"),
    "set save_steps or saves_per_epoch": ("save_strategy",),
    "early_stopping_patience keeps the weights with the lowest validation loss": (
        "load_best_model_at_end", "metric_for_best_model", "greater_is_better",
    ),
    "checkpoints always hold what resuming needs": ("save_only_model", "save_first_step"),
    "code that comes with a checkpoint is never run": ("trust_remote_code",),
    "put a system turn into the rows": ("default_system_message",),
    "put the key into the environment variable COMET_API_KEY": ("comet_api_key",),
    "the config of the base model is used as it is": (
        "overrides_of_model_config", "overrides_of_model_kwargs", "model_config", "model_kwargs", "rope_scaling",
        "model_quantization_config", "model_quantization_config_kwargs", "cls_model_config",
    ),
    "the other keys of this tracker are supported": (
        "wandb_watch", "wandb_log_model", "hf_mlflow_log_artifacts", "comet_experiment_key", "comet_mode",
        "comet_online", "comet_experiment_config",
    ),
    "timings and tokens per second are always recorded": (
        "profiler_steps", "include_tokens_per_second", "include_tkps", "gc_steps",
    ),
    "the name here is revision_of_model": ("model_revision",),
}  # fmt: skip

_DATASET: dict[str, tuple[str, ...]] = {
    "use split to take a part of the rows": ("shards", "shards_idx", "preprocess_shards"),
    "set the top-level chat_template_jinja": ("chat_template_jinja",),
    "turns are trained whole; use message_field_training": ("message_field_training_detail",),
    "code that comes with a data set is never run": ("trust_remote_code",),
    "write a `type: module:function` that reads such rows": (
        "input_transform", "input_format", "field_human", "field_model", "field_thinking", "template_thinking_key",
        "split_thinking", "logprobs_field", "temperature", "field_system", "field_instruction", "field_input",
        "field_output", "format", "no_input_format", "system_prompt", "system_format",
    ),
}  # fmt: skip

_SPECIAL_TOKENS: dict[str, tuple[str, ...]] = {_VOCABULARY: ("additional_special_tokens",)}

UNSUPPORTED: Mapping[str, Mapping[str, str]] = {
    section: {name: reason for reason, names in table.items() for name in names}
    for section, table in (("", _TOP), ("datasets", _DATASET), ("special_tokens", _SPECIAL_TOKENS))
}
"""By section ("" is the top level): name of the key, and what to do instead."""

HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "shuffle_merged_datasets": (True,),
    "num_processes": (1,),
    "tensor_parallel_size": (1,),
    "context_parallel_size": (1,),
    "sequence_parallel_degree": (1,),
    "eval_strategy": ("steps",),
    "evaluation_strategy": ("steps",),
    "save_strategy": ("steps",),
    "remove_unused_columns": (True,),
}
"""By key: the values that ask for what happens here anyway."""


def asks_nothing(name: str, value: Any) -> bool:
    """Return whether ``value`` leaves the unsupported key ``name`` switched off."""
    if value is None or value is False or value in ([], {}, ""):
        return True
    return any(value is harmless or value == harmless for harmless in HARMLESS.get(name, ()))
