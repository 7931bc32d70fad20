"""From a YAML file to a :class:`RunConfig`, with all problems reported at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.config.fields import fields_of, section_of
from harness.config.marks import Document, KeyPath, read_document
from harness.config.overrides import Overrides, apply_overrides, show_path
from harness.config.paths import resolve_paths
from harness.config.rules import contradictions
from harness.config.run import RunConfig
from harness.config.sources import missing_rows, unknown_templates
from harness.config.unsupported import UNSUPPORTED, asks_nothing
from harness.config.wording import explain
from harness.errors import ConfigError, Problem
from harness.types import to_json

SCHEMA = Path(__file__).with_name("schema.json")
"""The JSON schema of the YAML, for editors; it ships with the package."""
_HINT = f"Every key is described in docs/config.md of the project, and in the JSON schema {SCHEMA}"


def load_config(path: Path, overrides: Sequence[str] = (), data: Path | str | None = None) -> RunConfig:
    """Read and check the YAML file ``path``.

    ``overrides`` are ``key=value`` requests (``serve.dtype=float32``, ``datasets[0].split=train[:9]``), the value
    in YAML; ``data`` takes the place of the path of the single data set. Relative names in the file are relative
    to its folder, those in ``overrides`` and ``data`` to the working directory. A key that is null is unset.

    Raises:
        ConfigError: with every problem of the file and of the overrides, each with its line.
    """
    document = read_document(path)
    done = apply_overrides(document.values, overrides, data)
    return _build(document, done, path, str(path))


def config_from(values: Mapping[str, Any], folder: Path) -> RunConfig:
    """Check ``values`` as if they stood in a YAML file in ``folder``.

    Raises:
        ConfigError: with every problem.
    """
    return _build(Document(dict(to_json(values)), {}), Overrides(), None, None, folder)


@dataclass(frozen=True)
class _Findings:
    """Collects problems at keys and turns them into problems at lines."""

    found: dict[KeyPath, str]

    def add(self, more: Mapping[KeyPath, str]) -> None:
        for path, message in more.items():
            self.found.setdefault(path, message)

    def problems(self, document: Document, done: Overrides, file: str | None) -> list[Problem]:
        placed = [self._place(path, message, document, done, file) for path, message in self.found.items()]
        return sorted([*document.problems, *placed], key=lambda problem: (problem.line is None, problem.line or 0))

    @staticmethod
    def _place(path: KeyPath, message: str, document: Document, done: Overrides, file: str | None) -> Problem:
        origin = done.origin(path)
        if origin:
            return Problem(message, origin)
        for length in range(len(path), 0, -1):
            if path[:length] in document.lines:
                return Problem(message, file, document.lines[path[:length]])
        return Problem(message, file)


def _build(
    document: Document, done: Overrides, source: Path | None, file: str | None, folder: Path | None = None
) -> RunConfig:
    findings = _Findings({})
    values = document.values
    home = folder if folder is not None else source.parent if source is not None else Path()
    findings.add(_drop_unsupported(values))
    _drop_unset(values, RunConfig)
    findings.add(resolve_paths(values, RunConfig, lambda path: Path() if done.origin(path) else home))
    config, errors = _validate(values)
    findings.add(errors)
    broken = {str(path[0]) for path in findings.found if path}
    sound = {name: value for name, value in values.items() if name not in broken}
    findings.add(dict(contradictions(sound, broken)))
    findings.add(dict(unknown_templates(values)))
    if findings.found or document.problems or done.problems:
        # Rows that are missing do not make the file wrong: the base, or an adapter that exists, is tested without.
        findings.add(dict(missing_rows(values)))
    problems = [*findings.problems(document, done, file), *done.problems]
    if problems or config is None:
        raise ConfigError(_title(file, len(problems)), problems, _HINT)
    config._source = source
    return config


def _title(file: str | None, count: int) -> str:
    return f"{file or 'the configuration'} has {'a problem' if count == 1 else f'{count} problems'}:"


def _validate(values: dict[str, Any]) -> tuple[RunConfig | None, dict[KeyPath, str]]:
    try:
        return RunConfig.model_validate(values), {}
    except ValidationError as error:
        return None, explain(error.errors(include_url=False), RunConfig, values)


def _drop_unsupported(values: dict[str, Any]) -> dict[KeyPath, str]:
    """Take out the keys that are known and not supported; return those that were switched on."""
    problems = _drop_from(values, "", ())
    for index, dataset in enumerate(_list(values.get("datasets"))):
        problems |= _drop_from(dataset, "datasets", ("datasets", index))
    return problems | _drop_from(values.get("special_tokens"), "special_tokens", ("special_tokens",))


def _drop_from(values: Any, section: str, path: KeyPath) -> dict[KeyPath, str]:
    if not isinstance(values, dict):
        return {}
    problems: dict[KeyPath, str] = {}
    for name in [name for name in values if name in UNSUPPORTED[section]]:
        here = (*path, name)
        if not asks_nothing(name, values.pop(name)):
            problems[here] = f"{show_path(here)} is not supported: {UNSUPPORTED[section][name]}"
    return problems


def _drop_unset(values: dict[str, Any], model: type[BaseModel]) -> None:
    """Take out known keys that are null or empty text; an unknown one stays, and is reported."""
    for name, field in fields_of(model).items():
        if name not in values:
            continue
        if values[name] is None or values[name] == "":
            del values[name]
            continue
        section = section_of(field)
        inner = _list(values[name]) if section and section[1] else [values[name]]
        for item in inner:
            if section and isinstance(item, dict):
                _drop_unset(item, section[0])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
