"""From ``@pytest.mark.cases`` to one item per case. Touches no network and loads no model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ftplugin.trial import CASE, Trial

if TYPE_CHECKING:
    from harness.types import Case, Grammar
    from pytest_ftplugin.session import State

Source = str | Path | Callable[[], Iterable["Case"]]
_HOW = 'write @pytest.mark.cases("data/eval.jsonl"), or @pytest.mark.cases(source=function_that_returns_cases)'


def parametrize(metafunc: pytest.Metafunc, mark: pytest.Mark, state: State) -> None:
    """Make one item of the test per case (and repeat).

    Raises:
        pytest.Collector.CollectError: the cases, or the grammar they are held to, cannot be used.
    """
    from harness.errors import HarnessError

    if CASE not in metafunc.fixturenames:
        if any(own.name == "cases" for own in metafunc.definition.own_markers):
            name = metafunc.definition.nodeid
            raise pytest.Collector.CollectError(
                f"{name} has @pytest.mark.cases but takes neither `case` nor `generation`"
            )
        return
    try:
        trials = (
            state.replay.trials(metafunc.definition.nodeid) if state.replay else state.loader.trials(metafunc, mark)
        )
    except HarnessError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    if trials is not None:
        metafunc.parametrize(CASE, trials, indirect=True)


class CaseLoader:
    """Loads the cases of marks, each file once for all tests over it."""

    def __init__(self, state: State) -> None:
        """Take repeats and decoding mode from ``state`` when the first mark is met."""
        self._state = state
        self._cases: dict[tuple[Any, ...], tuple[Case, ...]] = {}
        self._params: dict[tuple[Any, ...], list[Any]] = {}

    def trials(self, metafunc: pytest.Metafunc, mark: pytest.Mark) -> list[Any]:
        """Return the parameter sets for one test function; the same list for tests over the same cases."""
        path = metafunc.definition.path
        source, from_sample = _arguments(mark)
        suite = path.parent.name or path.stem
        cases_key = (_located(source, path.parent), from_sample, suite)
        grammar = self._grammar(metafunc.definition)
        key = (*cases_key, grammar)
        if key not in self._params:
            if cases_key not in self._cases:
                self._cases[cases_key] = _load(*cases_key)
            self._params[key] = self._parameter_sets(self._cases[cases_key], grammar)
        return self._params[key]

    def _parameter_sets(self, cases: Sequence[Case], grammar: Grammar | None) -> list[Any]:
        if self._state.mode == "grammar":
            cases = [case if case.grammar or not grammar else replace(case, grammar=grammar) for case in cases]
            self._state.grammars.check(cases)
        return parameter_sets(Trial(case, repeat) for case in cases for repeat in range(self._state.settings.repeats))

    def _grammar(self, definition: pytest.Item) -> Grammar | None:
        mark = definition.get_closest_marker("grammar")
        if mark is None or self._state.mode != "grammar":
            return None
        return self._state.grammars.declared(mark, definition.path)


def parameter_sets(trials: Iterable[Trial]) -> list[Any]:
    """Return what ``metafunc.parametrize`` takes: a trial each, its id and its case's tags as a mark."""
    marks: dict[tuple[tuple[str, str], ...], tuple[pytest.MarkDecorator, ...]] = {(): ()}
    found = []
    for trial in trials:
        tags = tuple(trial.case.tags.items())
        if tags not in marks:
            marks[tags] = (pytest.mark.tags(**dict(tags)),)
        found.append(pytest.param(trial, id=trial.label, marks=marks[tags]))
    return found


def _arguments(mark: pytest.Mark) -> tuple[Source, Callable[[Any], Any] | None]:
    """Read the mark's arguments.

    Raises:
        DataError: they are not what the mark takes.
    """
    from harness.errors import DataError

    unknown = set(mark.kwargs) - {"source", "from_sample"}
    positional = dict(zip(("source", "from_sample"), mark.args, strict=False))
    values = {**positional, **mark.kwargs}
    source = values.get("source")
    from_sample = values.get("from_sample")
    if unknown or len(mark.args) > 2 or not (isinstance(source, str | Path) or callable(source)):
        raise DataError(
            f"@pytest.mark.cases takes a file or a function, and from_sample; got {_shown(mark)}", hint=_HOW
        )
    if from_sample is not None and not callable(from_sample):
        raise DataError(f"from_sample is a function from a training row to a case; got {from_sample!r}", hint=_HOW)
    return source, from_sample


def _located(source: Source, folder: Path) -> Source:
    """Return a file source relative to the test file's folder; functions and ``package://`` as they are."""
    if callable(source) or str(source).startswith("package://"):
        return source
    return folder / source


def _shown(mark: pytest.Mark) -> str:
    return ", ".join([*map(repr, mark.args), *(f"{k}={v!r}" for k, v in mark.kwargs.items())]) or "nothing"


def _load(source: Source, from_sample: Any, suite: str) -> tuple[Case, ...]:
    """Load the cases of a file or of a function.

    Raises:
        DataError: there are none, or rows are wrong; all of them are named.
    """
    if callable(source):
        return _call(source, suite)
    from harness.data import load_cases

    return load_cases(source, suite=suite, from_sample=from_sample)


def _call(function: Callable[[], Iterable[Case]], suite: str) -> tuple[Case, ...]:
    from harness.errors import DataError, HarnessError, Problem
    from harness.types import Case

    name = getattr(function, "__qualname__", repr(function))
    try:
        found: list[Any] = list(function())
    except HarnessError:
        raise
    except Exception as error:
        raise DataError(f"{name}, given to @pytest.mark.cases, raised {type(error).__name__}: {error}") from error
    problems = []
    seen: set[str] = set()
    for position, case in enumerate(found):
        if not isinstance(case, Case):
            problems.append(Problem(f"item {position} is a {type(case).__name__}, not a harness.types.Case"))
        elif case.id in seen:
            problems.append(Problem(f"item {position}: a second case with the id {case.id!r}"))
        else:
            seen.add(case.id)
    if problems or not found:
        title = f"{name}, given to @pytest.mark.cases, returned {'no case' if not found else 'what cannot be used'}"
        raise DataError(title, problems)
    return tuple(case if case.suite else replace(case, suite=suite) for case in found)
