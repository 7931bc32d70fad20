"""What a model makes of rows, measured without training on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from harness.training.batching import Row, collate, eval_batches
from harness.training.run import Run


@torch.no_grad()
def evaluate(run: Run, rows: Sequence[Row]) -> float:
    """Return the mean loss per labelled token over ``rows``, with dropout off."""
    accelerator = run.accelerator
    mine = sorted(rows, key=lambda row: row.length)[accelerator.process_index :: accelerator.num_processes]
    loss = accelerator.unwrap_model(run.loss, keep_fp32_wrapper=True)
    total = torch.zeros((), device=accelerator.device)
    run.model.eval()
    for batch in eval_batches(mine, run.job):
        total += loss(batch.input_ids.to(accelerator.device), batch.labels.to(accelerator.device))
    run.model.train()
    return float(accelerator.reduce(total, "sum")) / sum(row.trained for row in rows)


@torch.no_grad()
def recall(run: Run, rows: Sequence[Row]) -> dict[str, float]:
    """Return how much of the training rows the model gives back, each token predicted from the true ones before."""
    loss = run.accelerator.unwrap_model(run.loss, keep_fp32_wrapper=True)
    run.model.eval()
    right, whole, total = 0, 0, 0.0
    for row in rows:
        batch = collate([row], run.job)
        ids, labels = batch.input_ids.to(run.accelerator.device), batch.labels.to(run.accelerator.device)
        with run.accelerator.autocast():
            logits, targets = loss.labelled_logits(ids, labels)
        hits = logits.argmax(-1) == targets
        right, whole = right + int(hits.sum()), whole + int(hits.all())
        total += float(functional.cross_entropy(logits, targets, reduction="sum"))
    trained = sum(row.trained for row in rows)
    return {"rows": len(rows), "exact_rows": whole, "token_accuracy": right / trained, "loss": total / trained}
