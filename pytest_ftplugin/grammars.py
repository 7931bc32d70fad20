"""The grammars that suites declare: read and checked while tests are collected, and counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from harness.types import Case, Grammar

_KINDS = ("json", "regex", "choice", "lark")


class Grammars:
    """Grammars of marks, each read once, and each distinct grammar checked once."""

    def __init__(self, engine: Callable[[], str], configured: Callable[[], Grammar | None]) -> None:
        """``engine`` names the engine that will enforce them; asked when the first grammar is checked.

        ``configured`` is the config's grammar, for cases that declare none.
        """
        self._engine = engine
        self._configured = configured
        self._declared: dict[tuple[Path, str], Grammar] = {}
        self._checked: set[Grammar] = set()

    def declared(self, mark: pytest.Mark, test_file: Path) -> Grammar:
        """Return the grammar of a mark; paths in it are relative to ``test_file``.

        Raises:
            GrammarError: the mark does not hold exactly one grammar, or its file cannot be used.
        """
        key = (test_file.parent, repr((mark.args, mark.kwargs)))
        if key not in self._declared:
            self._declared[key] = _read(mark.args, mark.kwargs, test_file.parent)
        return self._declared[key]

    def check(self, cases: Iterable[Case]) -> None:
        """Check that every grammar of ``cases`` can be enforced.

        Raises:
            GrammarError: it cannot; the message names the keyword and the case.
        """
        from harness.errors import GrammarError
        from harness.serving import check_grammar

        for case in cases:
            grammar = case.grammar or self._configured()
            if grammar is None or grammar in self._checked:
                continue
            try:
                check_grammar(grammar, self._engine())
            except GrammarError as error:
                place = f"suite {case.suite}, case {case.id!r}" if case.grammar else "decode.grammar of the config"
                raise GrammarError(f"{place}: {error}") from None
            self._checked.add(grammar)


@dataclass(frozen=True)
class Guided:
    """How many of the cases whose replies are read are held to a grammar."""

    constrained: int
    free: int
    free_suites: tuple[str, ...]

    @classmethod
    def of(cls, cases: Iterable[Case], configured: Grammar | None) -> Guided:
        """Count ``cases``, each once; the config's grammar holds where a case has none."""
        distinct = {id(case): case for case in cases}.values()
        free = [case for case in distinct if (case.grammar or configured) is None]
        return cls(len(distinct) - len(free), len(free), tuple(dict.fromkeys(case.suite for case in free)))

    def __str__(self) -> str:
        """Return the counts as one line."""
        if not self.free:
            return f"grammar: {self.constrained} cases constrained"
        where = ", ".join(suite for suite in self.free_suites if suite)
        return f"grammar: {self.constrained} cases constrained, {self.free} without a grammar ran free" + (
            f" (in {where})" if where else ""
        )

    def require(self, asked_by: str) -> None:
        """Refuse a guided run that would guide nothing.

        Raises:
            GrammarError: no case has a grammar.
        """
        from harness.errors import GrammarError

        if self.free and not self.constrained:
            raise GrammarError(
                f"{asked_by}, but none of the {self.free} selected cases has a grammar: every reply would be free",
                hint='declare one: @pytest.mark.grammar(json="schema.json") (or regex=, choice=, lark=) on the test or'
                " its module, `grammar` in a case's row, or decode.grammar in the config",
            )


def _read(args: tuple[Any, ...], kwargs: Mapping[str, Any], folder: Path) -> Grammar:
    from harness.errors import GrammarError
    from harness.types import Grammar

    if args or len(kwargs) != 1 or not set(kwargs) <= set(_KINDS):
        shown = ", ".join([*map(repr, args), *(f"{k}=…" for k in kwargs)]) or "nothing"
        raise GrammarError(
            f"@pytest.mark.grammar takes exactly one of {', '.join(f'{kind}=' for kind in _KINDS)}; got {shown}",
            hint='write @pytest.mark.grammar(json="schema.json")',
        )
    [(kind, value)] = kwargs.items()
    return Grammar(kind=kind, text=_READERS[kind](value, folder))  # type: ignore[arg-type]


def _file_text(value: str, folder: Path) -> str:
    from harness.errors import GrammarError

    try:
        return (folder / value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GrammarError(f"cannot read the grammar file {folder / value}: {error}") from None


def _json_text(value: Any, folder: Path) -> str:
    from harness.errors import GrammarError

    if isinstance(value, Mapping | bool):
        return json.dumps(value)
    if not isinstance(value, str | Path):
        raise GrammarError(f"json= takes a schema file or a mapping; got {value!r}")
    text = str(value)
    inline = text.lstrip().startswith("{")
    if not inline:
        text = _file_text(text, folder)
    try:
        json.loads(text)
    except ValueError as error:
        where = "the inline schema" if inline else str(folder / str(value))
        raise GrammarError(f"{where} is not JSON: {error}") from None
    return text


def _regex_text(value: Any, _: Path) -> str:
    from harness.errors import GrammarError

    if not isinstance(value, str):
        raise GrammarError(f"regex= takes a pattern; got {value!r}")
    return value


def _choice_text(value: Any, _: Path) -> str:
    from harness.errors import GrammarError

    if isinstance(value, str) or not all(isinstance(choice, str) for choice in value) or not value:
        raise GrammarError(f"choice= takes a list of texts; got {value!r}")
    return json.dumps(list(value))


def _lark_text(value: Any, folder: Path) -> str:
    from harness.errors import GrammarError

    if not isinstance(value, str | Path):
        raise GrammarError(f"lark= takes a grammar file or the grammar itself; got {value!r}")
    text = str(value)
    return text if ":" in text and ("\n" in text or not text.endswith(".lark")) else _file_text(text, folder)


_READERS: Mapping[str, Callable[[Any, Path], str]] = {
    "json": _json_text,
    "regex": _regex_text,
    "choice": _choice_text,
    "lark": _lark_text,
}
