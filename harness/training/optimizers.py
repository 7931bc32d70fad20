"""Optimizers by the names that axolotl and transformers give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from harness.errors import TrainingError
from harness.training.job import OptimSpec

Groups = list[dict[str, Any]]


def build_optimizer(spec: OptimSpec, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer over the trainable weights of ``model``.

    Raises:
        TrainingError: it needs a GPU, and there is none.
    """
    if spec.name.startswith("paged_") and not torch.cuda.is_available():
        raise TrainingError(
            f"optimizer {spec.name} pages its state between GPU and host memory, and there is no GPU. "
            f"Take adamw_bnb_8bit (same 8-bit state) or adamw_torch_fused."
        )
    return BUILDERS[spec.name](spec, _groups(model.parameters(), spec.weight_decay))


def _groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> Groups:
    """Split into matrices, which decay, and vectors (norms, biases), which do not."""
    trainable = [p for p in parameters if p.requires_grad]
    matrices, vectors = [p for p in trainable if p.ndim > 1], [p for p in trainable if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _adamw(spec: OptimSpec, groups: Groups, *, fused: bool) -> torch.optim.Optimizer:
    betas = (spec.beta1, spec.beta2)
    return torch.optim.AdamW(groups, lr=spec.learning_rate, betas=betas, eps=spec.epsilon, fused=fused)


def _bitsandbytes(spec: OptimSpec, groups: Groups, *, bits: int, paged: bool) -> torch.optim.Optimizer:
    from bitsandbytes.optim.adamw import AdamW

    return AdamW(  # type: ignore[no-untyped-call]
        groups,
        lr=spec.learning_rate,
        betas=(spec.beta1, spec.beta2),
        eps=spec.epsilon,
        optim_bits=bits,
        is_paged=paged,
    )


def _adafactor(spec: OptimSpec, groups: Groups) -> torch.optim.Optimizer:
    from transformers import Adafactor

    # the schedule is ours: Adafactor's own relative steps stay off
    return Adafactor(groups, lr=spec.learning_rate, scale_parameter=False, relative_step=False)  # type: ignore[no-untyped-call]


def _sgd(spec: OptimSpec, groups: Groups) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=spec.learning_rate)


BUILDERS: dict[str, Callable[[OptimSpec, Groups], torch.optim.Optimizer]] = {
    "adamw_torch": lambda spec, groups: _adamw(spec, groups, fused=False),
    "adamw_torch_fused": lambda spec, groups: _adamw(spec, groups, fused=True),
    "adamw_bnb_8bit": lambda spec, groups: _bitsandbytes(spec, groups, bits=8, paged=False),
    "adamw_8bit": lambda spec, groups: _bitsandbytes(spec, groups, bits=8, paged=False),
    "paged_adamw_32bit": lambda spec, groups: _bitsandbytes(spec, groups, bits=32, paged=True),
    "paged_adamw_8bit": lambda spec, groups: _bitsandbytes(spec, groups, bits=8, paged=True),
    "adafactor": _adafactor,
    "sgd": _sgd,
}
