"""The model that is trained: a frozen base, an adapter in fp32 on top, and the loss."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import TrainingError
from harness.training.batching import IGNORED
from harness.training.job import LoraSpec, Precision, TrainJob


def resolve_precision(wanted: Precision) -> Precision:
    """Return the precision that is computed in: ``auto`` is bf16 where the machine has it, else fp32.

    Raises:
        TrainingError: fp16 without a GPU (its gradients would need a loss scale that only works there).
    """
    cuda = torch.cuda.is_available()
    if wanted == "auto":
        return "bf16" if (torch.cuda.is_bf16_supported() if cuda else _cpu_has_bf16()) else "fp32"
    if wanted == "fp16" and not cuda:
        raise TrainingError("fp16: true needs a GPU. Take bf16: auto (bf16 where the machine has it, else fp32).")
    return wanted


def _cpu_has_bf16() -> bool:
    """Return whether the CPU multiplies bf16 itself: elsewhere it is emulated, and slower than fp32."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16", "arm_bf16"))


def load_base(job: TrainJob, precision: Precision, device: torch.device) -> nn.Module:
    """Load the base, frozen, in the type it is computed in (or quantised by bitsandbytes).

    The weights in bf16 are a copy of what is never trained: nothing is lost by rounding updates.
    """
    from transformers import AutoModelForCausalLM

    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    options: dict[str, Any] = {"attn_implementation": job.attention} if job.attention else {}
    if quantisation := _quantisation(job, dtype):
        options |= {"quantization_config": quantisation, "device_map": {"": str(device)}}
    model = AutoModelForCausalLM.from_pretrained(
        job.base, dtype=dtype, trust_remote_code=job.trust_remote_code, **options
    )
    model.requires_grad_(False)
    model.config.use_cache = False
    if job.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": job.reentrant})
        if job.reentrant:  # it passes gradients on only if its input asks for one
            model.enable_input_require_grads()  # type: ignore[no-untyped-call]
    return model


def _quantisation(job: TrainJob, dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    build: Any = BitsAndBytesConfig
    if job.load_in_4bit:
        return build(
            load_in_4bit=True,
            bnb_4bit_quant_type=job.bnb_4bit_quant_type,
            bnb_4bit_use_double_quant=job.bnb_4bit_use_double_quant,
            bnb_4bit_compute_dtype=job.bnb_4bit_compute_dtype or dtype,
        )
    return build(load_in_8bit=True, llm_int8_threshold=job.llm_int8_threshold) if job.load_in_8bit else None


def add_adapter(base: nn.Module, spec: LoraSpec) -> Any:
    """Return ``base`` as a peft model whose trainable weights are fp32.

    The caller has seeded: fresh adapter weights are drawn here.

    Raises:
        TrainingError: the target modules name nothing in this model, or the old adapter does not fit.
    """
    from peft import LoraConfig, PeftModel, get_peft_model
    from peft.tuners.tuners_utils import BaseTunerLayer

    try:
        if spec.init_from:
            model = PeftModel.from_pretrained(base, spec.init_from, is_trainable=True)
        else:
            config = LoraConfig(
                task_type="CAUSAL_LM",
                r=spec.r,
                lora_alpha=spec.alpha,
                lora_dropout=spec.dropout,
                target_modules=list(spec.target_modules) if spec.target_modules else "all-linear",
                modules_to_save=list(spec.modules_to_save) or None,
                use_rslora=spec.rslora,
                fan_in_fan_out=spec.fan_in_fan_out,
            )
            model = get_peft_model(base, config)
    except (ValueError, RuntimeError) as error:
        raise TrainingError(f"the adapter cannot be put on this base: {error}") from error
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype != torch.float32:
            parameter.data = parameter.data.float()
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            # autocast makes the activations fit the fp32 adapter; peft's own copy to fp32 would come on top
            setattr(module, "cast_input_dtype_enabled", False)  # noqa: B010 - torch's stubs know no plain attributes
    return model


@dataclass(frozen=True)
class Trained:
    """What of a model is trained."""

    parameters: int
    total: int
    modules: tuple[str, ...]
    """Kinds of modules that carry an adapter (``q_proj``, …)."""

    @classmethod
    def of(cls, model: Any) -> Trained:
        """Count; quantised weights count as the numbers they stand for."""
        parameters, total = model.get_nb_trainable_parameters()
        kinds = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if hasattr(module, "lora_A")}
        return cls(int(parameters), int(total), tuple(sorted(kinds)))

    def figures(self) -> dict[str, Any]:
        """Return it as plain values."""
        share = self.parameters / self.total
        return {"trainable": self.parameters, "parameters": self.total, "share": share, "modules": list(self.modules)}


class LabelledLoss(nn.Module):
    """Cross-entropy summed over the labelled tokens, with logits computed for no others.

    The output head is by far the largest layer of a small model, and most tokens of a chat row (the
    prompt) have no label. A hook in front of the head passes on only the hidden states [N, H] from which
    a labelled token is predicted. What the model does behind its head (scaling, soft-capping) still runs.
    A model that bypasses its head module gives full logits, and those are indexed instead.
    """

    def __init__(self, model: Any) -> None:
        """Wrap ``model``, a transformers or peft causal language model."""
        super().__init__()
        self.model = model
        self._wanted: Tensor | None = None
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        base.get_output_embeddings().register_forward_pre_hook(self._select)

    def _select(self, head: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        del head
        if self._wanted is None or not inputs or inputs[0].shape[:2] != self._wanted.shape:
            return None
        return (inputs[0][self._wanted].unsqueeze(0), *inputs[1:])

    def labelled_logits(self, input_ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [N, V] in fp32 and targets [N] of the N labelled tokens, row by row.

        ``input_ids`` and ``labels`` are [B, T]; the label at t is predicted from the tokens before t.
        """
        wanted = functional.pad(labels[:, 1:] != IGNORED, (0, 1), value=False)
        self._wanted = wanted
        try:
            logits = self.model(input_ids=input_ids, use_cache=False).logits
        finally:
            self._wanted = None
        if logits.shape[:2] == wanted.shape:
            logits = logits[wanted]
        return logits.reshape(-1, logits.shape[-1]).float(), labels[:, 1:][labels[:, 1:] != IGNORED]

    def forward(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        """Return the summed loss, a scalar in fp32; zero, and differentiable, without labels."""
        logits, targets = self.labelled_logits(input_ids, labels)
        return functional.cross_entropy(logits, targets, reduction="sum")


def check_ids(model: Any, rows: Sequence[Tensor]) -> None:
    """Raise TrainingError if an id is beyond the model's embeddings (a tokenizer of another model)."""
    size = model.get_input_embeddings().num_embeddings
    highest = max(int(ids.max()) for ids in rows)
    if highest >= size:
        raise TrainingError(
            f"the rows hold token id {highest}, but the base model has embeddings for {size} tokens only: "
            "the tokenizer does not belong to it, or special_tokens adds tokens that the base does not have"
        )


def save_adapter(model: Any, folder: Path, base_ref: str) -> None:
    """Write the adapter in peft's layout, the same bytes for the same weights."""
    config = model.peft_config["default"]
    for key in ("target_modules", "modules_to_save"):
        if isinstance(value := getattr(config, key), set | list):
            setattr(config, key, sorted(value))  # a set's order changes from process to process
    config.base_model_name_or_path = base_ref
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Could not find a config file")  # base_ref need not be a path
        model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card
