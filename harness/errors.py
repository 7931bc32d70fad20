"""One exception tree. Errors of other libraries are mapped into it where they enter.

A message says what was wrong, where it stands (file, line, row id), what is allowed, and the next
thing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input, and where."""

    message: str
    file: str | None = None
    line: int | None = None
    row: str | None = None

    def __str__(self) -> str:
        """Return ``file:line: row id: message`` with the parts that are known."""
        where = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        row = f"row {self.row}" if self.row else ""
        return ": ".join(part for part in (where, row, self.message) if part)


class HarnessError(Exception):
    """Base of everything the harness raises for a reason that a user can act on."""

    exit_code: int = 2


class InputError(HarnessError):
    """Bad input; carries every problem found, not only the first."""

    def __init__(self, title: str, problems: Sequence[Problem] = (), hint: str = "") -> None:
        """Join ``title``, the problems (a line each) and the ``hint`` into one message."""
        self.title = title
        self.problems = tuple(problems)
        self.hint = hint
        lines = [title, *(f"  {problem}" for problem in self.problems)]
        super().__init__("\n".join([*lines, hint] if hint else lines))


class ConfigError(InputError):
    """The YAML, or an override on the command line, is wrong."""


class DataError(InputError):
    """Rows of a data set or of a case file are wrong."""


class TemplateError(InputError):
    """A chat template is missing, does not parse, or cannot be used for training and serving alike."""


class ModelError(InputError):
    """A base model or an adapter folder cannot be used, or the two do not belong together."""


class GrammarError(InputError):
    """A grammar or schema that the chosen backend cannot enforce."""


class Unscored(HarnessError):
    """A test, a check or a judge cannot say whether the reply is good: neither a pass nor a fail."""


class StoreError(HarnessError):
    """A cache entry, lock or database that cannot be used."""


class ChildError(HarnessError):
    """A child process ended or stopped answering; carries its own last lines."""

    def __init__(self, message: str, tail: Sequence[str] = (), returncode: int | None = None) -> None:
        """Append the child's last lines to ``message``."""
        self.tail = tuple(tail)
        self.returncode = returncode
        shown = [f"  | {line}" for line in self.tail]
        super().__init__("\n".join([message, *shown]))


class TrainingError(ChildError):
    """Training failed."""

    exit_code = 11


class EngineError(ChildError):
    """The engine or the endpoint failed, or serves something else than it should."""

    exit_code = 12
