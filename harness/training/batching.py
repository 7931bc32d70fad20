"""From rows to windows of micro-batches.

The order of the data is a pure function of (data seed, epoch): a run that resumes at step n sees
exactly what an uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.training.job import TrainJob

IGNORED = -100
"""The label of a token that is not trained."""
LENGTH_GROUP = 50
"""``group_by_length`` sorts within so many windows, so that the order stays random beyond them."""


@dataclass(frozen=True)
class Row:
    """One row as tensors: ``input_ids`` [T], ``labels`` [T], int64 and int64."""

    id: str
    input_ids: torch.Tensor
    labels: torch.Tensor

    @property
    def length(self) -> int:
        """T, the number of tokens."""
        return len(self.input_ids)

    @property
    def trained(self) -> int:
        """The number of tokens with a loss: the first token is predicted by nothing."""
        return int((self.labels[1:] != IGNORED).sum())


def read_rows(path: Path) -> list[Row]:
    """Read the rows that the parent wrote, one JSON object a line."""
    with path.open(encoding="utf-8") as file:
        return [row_from(json.loads(line)) for line in file]


def row_from(data: Mapping[str, Any]) -> Row:
    """Return the row; ``trained`` holds the [start, end) spans whose labels are the ids themselves."""
    input_ids = torch.tensor(data["input_ids"], dtype=torch.int64)
    labels = torch.full_like(input_ids, IGNORED)
    for start, end in data["trained"]:
        labels[start:end] = input_ids[start:end]
    return Row(data["id"], input_ids, labels)


@dataclass(frozen=True)
class Window:
    """The rows of one optimizer step."""

    step: int
    """0-based."""
    epoch: int
    rows: tuple[int, ...]

    def micro_batches(self, lengths: Sequence[int], size: int, rank: int = 0, world: int = 1) -> list[list[int]]:
        """Return this rank's micro-batches, as many as every other rank's; the last ones may be empty.

        How the rows of a window fall into micro-batches does not change its gradient, because the loss
        is a sum over the whole window. So rows of like length go together, and less is padded.
        """
        ordered = sorted(self.rows, key=lambda row: -lengths[row])
        batches = [ordered[i : i + size] for i in range(0, len(ordered), size)]
        mine = batches[rank::world]
        return mine + [[] for _ in range(-(-len(batches) // world) - len(mine))]


def epoch_order(lengths: Sequence[int], window: int, seed: int, epoch: int, *, group: bool) -> list[int]:
    """Return the row numbers in the order of this epoch; ``group`` puts rows of like length together."""
    rng = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    if not group:
        return order
    span = window * LENGTH_GROUP
    windows: list[list[int]] = []
    for start in range(0, len(order), span):
        chunk = sorted(order[start : start + span], key=lambda row: -lengths[row])
        windows += [chunk[i : i + window] for i in range(0, len(chunk), window)]
    short = windows.pop() if len(windows[-1]) < window else []
    rng.shuffle(windows)
    return [row for rows in [*windows, short] for row in rows]


def windows(job: TrainJob, rows: Sequence[Row], steps: int, *, start: int = 0, world: int = 1) -> Iterator[Window]:
    """Yield the windows of steps ``start`` to ``steps``; an epoch's last window may be short."""
    lengths = [row.length for row in rows]
    size = job.micro_batch_size * job.gradient_accumulation_steps * world
    per_epoch = -(-len(rows) // size)
    order: list[int] = []
    for step in range(start, steps):
        epoch, index = divmod(step, per_epoch)
        if not order or index == 0:
            order = epoch_order(lengths, size, job.data_seed, epoch, group=job.group_by_length)
        yield Window(step, epoch, tuple(order[index * size : (index + 1) * size]))


@dataclass(frozen=True)
class Batch:
    """A padded micro-batch: ``input_ids`` [B, T], ``labels`` [B, T], and what it cost."""

    row_ids: tuple[str, ...]
    input_ids: torch.Tensor
    labels: torch.Tensor
    tokens: int
    """B x T: every token that is computed, padding included."""
    non_pad: int
    trained: int


def collate(rows: Sequence[Row], job: TrainJob) -> Batch:
    """Pad rows on the right, to the longest or to ``sequence_len``.

    No attention mask is made: under causal attention a token never sees what stands right of it, and
    padding carries no label.
    """
    length = max(row.length for row in rows)
    if job.pad_to_sequence_len:
        length = max(length, job.sequence_len)
    input_ids = torch.full((len(rows), length), job.pad_id, dtype=torch.int64)
    labels = torch.full_like(input_ids, IGNORED)
    for i, row in enumerate(rows):
        input_ids[i, : row.length] = row.input_ids
        labels[i, : row.length] = row.labels
    non_pad = sum(row.length for row in rows)
    trained = sum(row.trained for row in rows)
    return Batch(tuple(row.id for row in rows), input_ids, labels, input_ids.numel(), non_pad, trained)


def idle_batch(row: Row, job: TrainJob) -> Batch:
    """Return a batch without labels, for a rank that has no rows left but must take part in the sum."""
    return collate([Row(row.id, row.input_ids[:2], torch.full_like(row.labels[:2], IGNORED))], job)


def eval_batches(rows: Iterable[Row], job: TrainJob) -> Iterator[Batch]:
    """Yield all rows in batches of like length."""
    ordered = sorted(rows, key=lambda row: -row.length)
    for start in range(0, len(ordered), job.eval_batch_size):
        yield collate(ordered[start : start + job.eval_batch_size], job)
