"""From data sets to samples: every row is read, or counted and reported with its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.collector import collector_paused
from harness.data.dataset import DataSet, our_role
from harness.data.formats import Format, Skip, detect_format, find_format
from harness.data.formats.custom import load_function
from harness.data.identity import assign_ids, content_digest
from harness.data.loading import load_rows
from harness.data.problems import RowError, RowsError
from harness.data.rows import Row
from harness.data.validity import check_sample
from harness.errors import InputError, Problem
from harness.types import Message, Sample

if TYPE_CHECKING:
    from harness.config import DatasetConfig

_OWN_FIELDS = frozenset({"id", "tags", "meta", "cluster", "lineage"})


@dataclass(frozen=True)
class Loaded:
    """What was read: good samples, what is wrong with the others, and how many of everything."""

    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """``rows``, ``samples``, ``bad``, ``skipped``, ``skipped: <reason>``, ``duplicates``."""
    natural_templates: frozenset[str | None] = frozenset()
    """The templates that the formats of the rows call for; None: the model's own chat template."""

    def require(self) -> Loaded:
        """Return this, if every row could be read.

        Raises:
            RowsError: some could not, or there are none; every problem is in it.
        """
        if self.problems:
            many = len(self.problems)
            raise RowsError(
                f"{many:,} problem{'s' if many > 1 else ''} in the training data"
                f" ({self.counts.get('samples', 0):,} rows are fine):",
                self.problems,
                "Correct these rows or take them out; nothing is left out silently.",
            )
        if not self.samples:
            raise RowsError("the training data holds no rows")
        return self


@dataclass
class _Reading:
    """What has been collected so far."""

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    natural: set[str | None] = field(default_factory=set)


def load_samples(datasets: Sequence[DatasetConfig | DataSet], *, folder: Path | None = None) -> Loaded:
    """Read the rows of all data sets.

    Args:
        datasets: entries of the config, or data sets made by hand.
        folder: what the file of a ``file.py:function`` type is relative to.
    """
    total = _Reading()
    for entry in datasets:
        dataset = entry if isinstance(entry, DataSet) else DataSet.of(entry)
        with collector_paused():
            part = read_dataset(dataset, folder, for_training=True)
        named, clashes = assign_ids(part.samples, {sample.id for sample in total.samples})
        total.samples += named
        total.problems += [*part.problems, *clashes]
        total.counts += part.counts
        total.natural |= part.natural
    total.counts["samples"] = len(total.samples)
    total.counts["bad"] = len({(p.file, p.line) for p in total.problems})
    contents = Counter(content_digest(sample) for sample in total.samples)
    total.counts["duplicates"] = sum(count - 1 for count in contents.values())
    return Loaded(tuple(total.samples), tuple(total.problems), dict(total.counts), frozenset(total.natural))


def read_dataset(dataset: DataSet, folder: Path | None, *, for_training: bool) -> _Reading:
    """Read one data set; samples without a name of their own have an empty id."""
    reading = _Reading()
    try:
        rows = load_rows(dataset)
        read = _reader(dataset, folder)
    except RowError as error:
        reading.problems += [Problem(reason) for reason in error.reasons]
        return reading
    for row in rows:
        reading.counts["rows"] += 1
        if isinstance(row, Problem):
            reading.problems.append(row)
            continue
        try:
            for sample in read(row, reading):
                reasons = check_sample(sample, for_training=for_training)
                if reasons:
                    raise RowError(reasons)
                reading.samples.append(_prepared(sample, dataset))
        except RowError as error:
            shown = row.record.get("id")
            row_id = str(shown) if isinstance(shown, str | int) else None
            reading.problems += [Problem(reason, row.source.file, row.source.line, row_id) for reason in error.reasons]
    return reading


class _FormatReader:
    """Reads rows of one known format, or of whichever format each row has."""

    def __init__(self, dataset: DataSet) -> None:
        self._fields = dataset.fields
        self._format: Format | None = find_format(dataset.type) if dataset.type else None

    def __call__(self, row: Row, reading: _Reading) -> Iterable[Sample]:
        known = self._format or detect_format(row.record)
        reasons: list[str] = []
        draft = known.read(row.record, self._fields, reasons)
        own = own_fields(row.record, known.uses, reasons)
        if reasons:
            raise RowError(reasons)
        reading.natural.add(draft.template)
        yield Sample(messages=draft.messages, tools=draft.tools, source=row.source, **own)


class _FunctionReader:
    """Reads rows with a user's function."""

    def __init__(self, reference: str, folder: Path | None) -> None:
        self._function = load_function(reference, folder)
        self._name = reference

    def __call__(self, row: Row, reading: _Reading) -> Iterable[Sample]:
        try:
            result = self._function(dict(row.record), row.source)
            made = list(result) if isinstance(result, list | tuple) else [result]
        except InputError as error:
            raise RowError([problem.message for problem in error.problems] or [error.title]) from error
        except Exception as error:
            raise RowError([f"{self._name} raised {type(error).__name__}: {error}"]) from error
        reading.natural.add(None)
        for value in made:
            if isinstance(value, Skip):
                reading.counts["skipped"] += 1
                reading.counts[f"skipped: {value.reason}"] += 1
            elif isinstance(value, Sample):
                yield value if value.source else replace(value, source=row.source)
            else:
                kind = type(value).__name__
                raise RowError([f"{self._name} must return a Sample, a list of them or Skip(reason), not {kind}"])


def _reader(dataset: DataSet, folder: Path | None) -> _FormatReader | _FunctionReader:
    if dataset.type and ":" in dataset.type:
        return _FunctionReader(dataset.type, folder)
    return _FormatReader(dataset)


def _prepared(sample: Sample, dataset: DataSet) -> Sample:
    """Apply what the data set's entry says about its rows: which roles are trained, no system turn."""
    messages = sample.messages
    if dataset.drop_system:
        messages = tuple(message for message in messages if message.role != "system")
    if dataset.roles_to_train is not None:
        trained = {our_role(name) for name in dataset.roles_to_train}
        messages = tuple(_with_train(message, message.role in trained) for message in messages)
    return sample if messages is sample.messages else replace(sample, messages=messages)


def _with_train(message: Message, train: bool) -> Message:
    return message if message.train is not None else replace(message, train=train)


def own_fields(row: Mapping[str, Any], used: frozenset[str], reasons: list[str]) -> dict[str, Any]:
    """Read a row's id, tags, meta, cluster and lineage; fields that no format reads are kept in ``meta``."""
    row_id = row.get("id")
    if row_id is not None and (isinstance(row_id, bool) or not isinstance(row_id, str | int) or row_id == ""):
        reasons.append(f"'id' must be a text or a number, it is {row_id!r}")
    meta = {
        key: value for key, value in row.items() if key not in used and key not in _OWN_FIELDS and value is not None
    }
    given = row.get("meta")
    if given is not None and not isinstance(given, Mapping):
        reasons.append(f"'meta' must be an object, it is {type(given).__name__}")
    cluster = row.get("cluster")
    return {
        "id": "" if row_id is None else str(row_id),
        "tags": _tags(row.get("tags"), reasons),
        "meta": {**meta, **given} if isinstance(given, Mapping) else meta,
        "cluster": None if cluster is None else str(cluster),
        "lineage": row["lineage"] if isinstance(row.get("lineage"), Mapping) else {},
    }


def _tags(value: Any, reasons: list[str]) -> dict[str, str]:
    """Read tags: a mapping, or a list of words (each its own tag, ``yes``)."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(key): str(tag) for key, tag in value.items() if tag is not None}
    if isinstance(value, list | tuple) and all(isinstance(tag, str) for tag in value):
        return dict.fromkeys(value, "yes")
    reasons.append(f"'tags' must be an object or a list of texts, it is {type(value).__name__}")
    return {}
