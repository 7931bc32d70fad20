"""From samples to the rows of training and validation, with a count of everything that happened."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.identity import content_digest, digest_of, prompt_digest
from harness.data.masks import MaskRules
from harness.data.problems import RowError, RowsError
from harness.data.render import Renderer, RowTokens, row_problems
from harness.data.split import split_groups
from harness.errors import DataError, Problem
from harness.types import Encoded, Sample, to_json

if TYPE_CHECKING:
    from harness.config import RunConfig

_CHUNK = 256
_COUNTED = ("rows", "too_long", "truncated", "dropped", "duplicates", "lost_turns", "realigned", "longest")


@dataclass(frozen=True)
class EncodedSet:
    """What training gets."""

    train: tuple[Encoded, ...]
    val: tuple[Encoded, ...]
    counts: Mapping[str, int]
    """``rows``, ``train_rows``, ``val_rows``, ``too_long``, ``truncated``, ``dropped`` (rows left out: too long, or
    cut so short that nothing trained was left), ``duplicates``, ``lost_turns`` (replies that the template rewrites
    later), ``realigned`` (replies put behind the prompt that is served, which the template writes otherwise once it
    is answered), ``longest``; of the training rows ``tokens`` and ``trained_tokens``."""
    digest: str
    """Content key of all that the rows depend on, except the tokenizer's files."""
    notes: tuple[str, ...] = field(default=())
    """What a user should be told about how they came about."""


def encode_all(
    samples: Sequence[Sample], renderer: Renderer, config: RunConfig, *, prepared: Path | None = None
) -> EncodedSet:
    """Render, tokenise, mask, cut and split all samples.

    With a folder for prepared rows (``prepared``, or the config's ``dataset_prepared_path``) they are read from
    there if nothing they depend on has changed, and written there otherwise.

    Raises:
        DataError: rows cannot be rendered (all of them are named), or none is left to train on.
        TemplateError: the template cannot be used.
    """
    from harness.data.prepared import prepared_key, read_prepared, write_prepared

    digest = data_digest(samples, renderer, config)
    folder = prepared or (Path(config.dataset_prepared_path) if config.dataset_prepared_path else None)
    if folder is None:
        return encode_rows(samples, renderer, config, digest)
    key = prepared_key(digest, renderer)
    found, note = read_prepared(folder, key)
    if found is not None:
        return replace(found, notes=(*found.notes, *_rewritten(found.counts)))
    encoded = encode_rows(samples, renderer, config, digest, notes=(note,) if note else ())
    write_prepared(folder, key, encoded)
    return encoded


def data_digest(samples: Sequence[Sample], renderer: Renderer, config: RunConfig) -> str:
    """Return the content key of the rows, without rendering any: samples, template, masks, cut and split."""
    state = hashlib.sha256()
    options = [
        renderer.fingerprint,
        to_json(mask_rules(config)),
        config.sequence_len,
        config.excess_length_strategy,
        config.val_set_size,
        config.data_seed if config.val_set_size else None,
    ]
    state.update(json.dumps(options, sort_keys=True, default=str).encode())
    for sample in samples:
        trained = [message.train for message in sample.messages]
        row = [sample.id, digest_of(sample.messages, sample.tools), trained, sample.cluster]
        state.update(json.dumps(row).encode())
    return state.hexdigest()


def mask_rules(config: RunConfig) -> MaskRules:
    """Return what the config says of masks.

    Raises:
        DataError: the data sets disagree on ``train_on_eos``, which holds for all rows.
    """
    ends = {dataset.train_on_eos for dataset in config.datasets}
    if len(ends) > 1:
        raise DataError(f"the data sets disagree on train_on_eos ({', '.join(sorted(ends))}); give all the same")
    return MaskRules(config.train_on_inputs, tuple(config.roles_to_train), next(iter(ends), "turn"))


def encode_rows(
    samples: Sequence[Sample], renderer: Renderer, config: RunConfig, digest: str, notes: tuple[str, ...] = ()
) -> EncodedSet:
    """Do the work of :func:`encode_all`, always anew."""
    counts = Counter(dict.fromkeys(_COUNTED, 0))
    counts["rows"], counts["duplicates"] = len(samples), duplicates(samples)
    rows: list[tuple[Sample, Encoded]] = []
    problems: list[Problem] = []
    for sample, tokens in _tokens(samples, renderer, mask_rules(config)):
        try:
            if isinstance(tokens, RowError):
                raise tokens
            encoded = _fit(sample, tokens, config, counts)
        except RowError as error:
            problems += row_problems(sample, error)
            continue
        if encoded is not None:
            rows.append((sample, encoded))
    if problems:
        raise RowsError(f"{len(problems):,} of {len(samples):,} rows cannot be trained on:", problems)
    if not rows:
        raise RowsError(f"no row is left to train on: {_why_none(counts, config)}")
    return _divided(rows, config, counts, digest, (*notes, *_rewritten(counts)))


def _rewritten(counts: Mapping[str, int]) -> Iterator[str]:
    """Say what became of replies that the chat template does not leave as they were."""
    if counts["lost_turns"]:
        yield (
            f"{counts['lost_turns']:,} replies are not trained, because the chat template rewrites a turn once others"
            " follow: give each its own row, or use another template"
        )
    if counts["realigned"]:
        yield (
            f"{counts['realigned']:,} replies are trained behind the prompt that is served, which the chat template"
            " writes otherwise once it is answered"
        )


def duplicates(samples: Sequence[Sample]) -> int:
    """Return how many samples say the same as an earlier one."""
    return len(samples) - len({content_digest(sample) for sample in samples})


def _tokens(
    samples: Sequence[Sample], renderer: Renderer, rules: MaskRules
) -> Iterator[tuple[Sample, RowTokens | RowError]]:
    for start in range(0, len(samples), _CHUNK):
        chunk = samples[start : start + _CHUNK]
        yield from zip(chunk, renderer.tokens(chunk, rules), strict=True)


def _fit(sample: Sample, tokens: RowTokens, config: RunConfig, counts: Counter[str]) -> Encoded | None:
    """Return the row, cut if need be; None if it is dropped, which is counted."""
    counts["lost_turns"] += tokens.lost_turns
    counts["realigned"] += tokens.realigned
    counts["longest"] = max(counts["longest"], len(tokens.ids))
    if len(tokens.ids) <= config.sequence_len:
        return tokens.encoded(sample)
    tokens.encoded(sample)  # a row without a trained token is an error, however long it is
    counts["too_long"] += 1
    if config.excess_length_strategy == "truncate":
        try:
            encoded = tokens.encoded(sample, config.sequence_len)
        except RowError:
            counts["dropped"] += 1
            return None
        counts["truncated"] += 1
        return encoded
    counts["dropped"] += 1
    return None


def _divided(
    rows: Sequence[tuple[Sample, Encoded]], config: RunConfig, counts: Counter[str], digest: str, notes: tuple[str, ...]
) -> EncodedSet:
    size = config.val_set_size
    groups = [sample.cluster or f"prompt {prompt_digest(sample)}" for sample, _ in rows] if size else []
    kept_out = split_groups(groups, size, config.data_seed)
    train = tuple(encoded for index, (_, encoded) in enumerate(rows) if index not in kept_out)
    val = tuple(rows[index][1] for index in sorted(kept_out))
    counts["train_rows"], counts["val_rows"] = len(train), len(val)
    counts["tokens"] = sum(len(row.input_ids) for row in train)
    counts["trained_tokens"] = sum(len(row.labels) - row.labels.count(-100) for row in train)
    return EncodedSet(train, val, dict(counts), digest, notes)


def _why_none(counts: Counter[str], config: RunConfig) -> str:
    if not counts["rows"]:
        return "there are no samples"
    return (
        f"all {counts['rows']:,} are longer than sequence_len: {config.sequence_len} (the longest has"
        f" {counts['longest']:,} tokens); raise it, or set excess_length_strategy: truncate"
    )
