"""What the command line and the ini file ask for, checked for contradictions."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_ftplugin.options import OPTIONS, Option

SUBJECTS = ("train_config", "adapter", "base_only", "endpoint", "generations", "replay")
"""The settings that say which model is tested."""
ALTERNATIVES = ("adapter", "base_only", "endpoint", "generations", "replay")
"""One of these at most (--base-only --adapter: the adapter's base); a config beside it gives decoding and engine."""
HOW_TO_NAME_A_MODEL = (
    "say which model to test: --train-config FILE, --adapter PATH, --base-only with --base-model REF,"
    " --endpoint URL with --model NAME, or --generations FILE (replies made elsewhere)"
)


@dataclass(frozen=True)
class Settings:
    """The values of all options, ini file included; paths are absolute."""

    train_config: Path | None = None
    adapter: Path | None = None
    base_only: bool = False
    base_model: str | None = None
    endpoint: str | None = None
    model: str | None = None
    generations: Path | None = None
    data: Path | None = None
    set: tuple[str, ...] = ()
    decode: Literal["greedy", "grammar", "both"] | None = None
    engine: str | None = None
    baseline: Literal["base", "none"] | None = None
    repeats: int = 1
    home: Path | None = None
    reports: Path | None = None
    replay: Path | None = None
    select: Path | None = None
    run_file: Path | None = None
    cache_endpoint: bool = False
    explicit: bool = False
    """Whether the command line itself names a model (an ini file that does is read only when cases are met)."""

    @property
    def names_a_model(self) -> bool:
        """Whether anything says which model to test."""
        return any(getattr(self, name) for name in SUBJECTS)


def _name(option: Option) -> str:
    return option.dest.removeprefix("ft_")


def _relative_to(folder: Path, value: str) -> Path:
    return Path(os.path.normpath(folder / Path(value).expanduser()))


def _from_ini(config: pytest.Config, option: Option, problems: list[str]) -> Any:
    value = config.getini(option.ini) if option.ini else None
    if not value:
        return None
    if option.kind == "path":
        return _relative_to(config.inipath.parent if config.inipath else config.rootpath, value)
    if option.kind == "list":
        return tuple(value)
    if option.kind == "switch":
        if value.lower() not in ("true", "false"):
            problems.append(f"{option.ini} is {value!r} in {config.inipath}; allowed are true and false")
        return value.lower() == "true"
    if option.kind == "count":
        if value.strip().isdigit():
            return int(value)
        problems.append(f"{option.ini} is {value!r} in {config.inipath}; it is a whole number")
        return None
    if option.choices and value not in option.choices:
        problems.append(f"{option.ini} is {value!r} in {config.inipath}; allowed are {', '.join(option.choices)}")
    return value


def _from_command_line(config: pytest.Config, option: Option) -> Any:
    value = getattr(config.option, option.dest, None)
    if value is None:
        return None
    if option.kind == "path":
        return _relative_to(config.invocation_params.dir, value)
    return tuple(value) if option.kind == "list" else value


def read_settings(config: pytest.Config) -> Settings:
    """Read all options; the command line wins over the ini file.

    Raises:
        pytest.UsageError: options contradict each other; every contradiction is listed.
    """
    problems: list[str] = []
    given = {_name(option): _from_command_line(config, option) for option in OPTIONS}
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    ini = {_name(option): _from_ini(config, option, problems) for option in OPTIONS}
    if any(name in given for name in ALTERNATIVES):  # another model on the command line replaces the ini file's
        for name in (*ALTERNATIVES, "model"):
            ini.pop(name, None)
    values = {name: value for name, value in ini.items() if value is not None} | given
    known = {field.name for field in fields(Settings)}
    settings = Settings(**{k: v for k, v in values.items() if k in known}, explicit=any(s in given for s in SUBJECTS))
    problems += contradictions(settings)
    if problems:
        raise pytest.UsageError("\n  ".join(["these options do not go together:", *problems]))
    return settings


def contradictions(s: Settings) -> list[str]:
    """Return every contradiction between the options, as a sentence with what to do."""
    problems = []
    chosen = [_flag(name) for name in ALTERNATIVES if getattr(s, name)]
    if len(chosen) > 1 and chosen != ["--adapter", "--base-only"]:
        problems.append(f"{' and '.join(chosen)} each name what to test: give one")
    if s.base_only and not (s.base_model or s.train_config or s.adapter):
        problems.append("--base-only does not say which base: add --base-model REF or --train-config FILE")
    if s.base_model and s.endpoint:
        problems.append("--base-model with --endpoint: the endpoint serves its own model, leave --base-model out")
    if s.base_model and s.train_config and not (s.base_only or s.adapter):
        problems.append(
            "--base-model beside a training: write --set base_model=REF, which shows in the resolved config"
        )
    if s.base_model and not (s.base_only or s.adapter or s.train_config or s.endpoint):
        problems.append("--base-model alone: add --base-only to test it, or --adapter PATH to test an adapter on it")
    if s.endpoint and not s.model:
        problems.append("--endpoint needs --model NAME, the name the server knows the model by")
    for name, needs in (
        ("model", "endpoint"),
        ("cache_endpoint", "endpoint"),
        ("data", "train_config"),
        ("set", "train_config"),
    ):
        if getattr(s, name) and not getattr(s, needs):
            problems.append(f"{_flag(name)} has no meaning without {_flag(needs)}")
    if s.engine and (s.endpoint or s.generations or s.replay):
        problems.append(f"--engine with {' '.join(chosen)}: nothing is served, leave --engine out")
    if s.repeats < 1:
        problems.append(f"--ft-repeats is {s.repeats}; it is a whole number from 1")
    return problems + _fixed_replies(s, chosen)


def _fixed_replies(s: Settings, chosen: list[str]) -> list[str]:
    """Return what cannot be combined with replies that exist already, or with a model that has no base here."""
    problems = []
    if s.baseline == "base" and (s.base_only or s.endpoint or s.generations or s.replay):
        problems.append(f"--baseline base with {' '.join(chosen)}: there is no base to compare with")
    if s.decode in ("grammar", "both") and (s.generations or s.replay):
        problems.append(f"--decode {s.decode} with {' '.join(chosen)}: these replies are decoded already")
    if s.repeats > 1 and s.replay:
        problems.append("--ft-repeats with --ft-replay: a replay runs exactly what was recorded")
    return problems


def _flag(name: str) -> str:
    return next(option.flag for option in OPTIONS if _name(option) == name)
