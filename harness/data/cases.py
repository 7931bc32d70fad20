"""Case files: eval items in any of the row formats, with what is known of a good reply."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from harness.data.collector import collector_paused
from harness.data.dataset import DataSet
from harness.data.identity import assign_ids, digest_of
from harness.data.problems import RowError, RowsError, shorten
from harness.data.samples import read_dataset
from harness.errors import Problem
from harness.types import Case, Grammar, GrammarKind, Message, Sample

FromSample = Callable[[Sample], "Case | Iterable[Case] | None"]


def load_cases(
    path: Path | str,
    *,
    suite: str,
    from_sample: FromSample | None = None,
    type: str | None = None,
    split: str = "train",
) -> tuple[Case, ...]:
    """Read a case file.

    A row is in any of the training formats, and may have ``id``, ``expected``, ``tags``, ``meta``, ``cluster`` and
    ``grammar`` (a JSON schema, or ``{"regex": …}``, ``{"choice": […]}``, ``{"lark": …}``, ``{"json": …}``).

    Args:
        path: a file, folder, glob or ``package://package/file``.
        suite: the suite the cases belong to.
        from_sample: makes the case (or several, or None to leave the row out) of a training row. Without it the last
            assistant turn is taken off and becomes ``expected``, unless the row has an ``expected`` of its own.
        type: a format's name or ``module:function``; None: known by the row's fields.
        split: which rows, as ``[:100]``.

    Raises:
        DataError: rows are bad, ids are there twice, or there are no cases; every problem is in it.
    """
    with collector_paused():
        cases, problems = _read(DataSet(str(path), type, split), suite, from_sample)
    if problems:
        many = len(problems)
        raise RowsError(f"{many:,} problem{'s' if many > 1 else ''} in the cases of {path}:", problems)
    if not cases:
        raise RowsError(f"{path} holds no cases")
    return cases


def _read(dataset: DataSet, suite: str, from_sample: FromSample | None) -> tuple[tuple[Case, ...], list[Problem]]:
    reading = read_dataset(dataset, None, for_training=False)
    samples, clashes = assign_ids(_with_content_ids(reading.samples))
    problems = [*reading.problems, *clashes]
    cases: dict[str, Case] = {}
    for sample in samples:
        try:
            for case in _cases_of(sample, from_sample):
                if case.id in cases:
                    raise RowError([f"the id {case.id!r} is that of two cases; give each its own"])
                cases[case.id] = case if case.suite == suite else replace(case, suite=suite)
        except RowError as error:
            problems += [_problem(sample, reason) for reason in error.reasons]
    return tuple(cases.values()), problems


def case_of(sample: Sample) -> Case:
    """Return the case of a row: the conversation without its last reply, which is what is expected.

    The reply is expected as its text; one that calls tools as the list of its calls (``name``, ``arguments``).

    Raises:
        RowError: nothing is left to ask, or the row's grammar cannot be read.
    """
    meta = dict(sample.meta)
    expected, grammar = meta.pop("expected", None), meta.pop("grammar", None)
    meta.pop("suite", None)
    messages = sample.messages
    if messages and messages[-1].role == "assistant":
        expected = _reply(messages[-1]) if expected is None else expected
        messages = messages[:-1]
    if not messages:
        raise RowError(["nothing is left to ask: the row holds only a reply"])
    return Case(
        id=sample.id,
        messages=messages,
        tools=sample.tools,
        expected=expected,
        tags=sample.tags,
        meta=meta,
        cluster=sample.cluster,
        grammar=None if grammar is None else _grammar(grammar),
    )


def _cases_of(sample: Sample, from_sample: FromSample | None) -> list[Case]:
    if from_sample is None:
        return [case_of(sample)]
    name = getattr(from_sample, "__name__", "from_sample")
    try:
        made = from_sample(sample)
        cases = [made] if isinstance(made, Case) else list(made or ())
    except RowError:
        raise
    except Exception as error:
        raise RowError([f"{name} raised {type(error).__name__}: {error}"]) from error
    if wrong := [case for case in cases if not isinstance(case, Case)]:
        raise RowError([f"{name} must return a Case, several, or None, not {shorten(wrong[0])}"])
    return cases


def _with_content_ids(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Name rows without an id after what is asked and expected, which a plain sample's digest does not hold."""
    numbers: Counter[str] = Counter()
    for sample in samples:
        if sample.id:
            yield sample
            continue
        name = digest_of(sample.messages, sample.tools, sample.meta.get("expected"))
        numbers[name] += 1
        yield replace(sample, id=name if numbers[name] == 1 else f"{name}#{numbers[name]}")


def _reply(message: Message) -> Any:
    if message.tool_calls:
        return [{"name": call.name, "arguments": dict(call.arguments)} for call in message.tool_calls]
    return message.content


def _grammar(value: Any) -> Grammar:
    """Read a row's grammar: ``{kind: content}``, our own ``{kind, text}``, or a JSON schema as it is."""
    kinds = get_args(GrammarKind)
    if isinstance(value, Mapping):
        if set(value) == {"kind", "text"} and value["kind"] in kinds:
            return Grammar.from_json(value)
        if len(value) == 1 and (kind := next(iter(value))) in kinds:
            content = value[kind]
            return Grammar(kind, content if isinstance(content, str) else json.dumps(content))
        if value:
            return Grammar("json", json.dumps(value))
    raise RowError(
        [f"'grammar' must be a JSON schema, or one of {', '.join(kinds)} with its content: {shorten(value)}"]
    )


def _problem(sample: Sample, reason: str) -> Problem:
    source = sample.source
    return Problem(reason, source.file if source else None, source.line if source else None, sample.id)
