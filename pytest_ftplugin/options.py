"""All options, ini keys and marks of the plugin, in one table each.

``docs/options.md`` is written from these tables (see :mod:`pytest_ftplugin.page`; a test holds the two
together), so what is said here is what a user reads.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import argparse

    import pytest

Kind = Literal["path", "text", "switch", "count", "list", "choice"]


@dataclass(frozen=True)
class Option:
    """One option of the command line and its ini key."""

    flag: str
    kind: Kind
    metavar: str
    help: str
    choices: tuple[str, ...] = ()
    ini: str | None = None
    """Key of the ini file with the same meaning; the command line wins over it."""

    @property
    def dest(self) -> str:
        """Name under which pytest keeps the value; prefixed, so that no other plugin's is meant."""
        return self.prefixed.removeprefix("--").replace("-", "_")

    @property
    def prefixed(self) -> str:
        """The option's second name, which no other plugin uses."""
        return "--ft-" + self.flag.removeprefix("--").removeprefix("ft-")


PREFIXED = "addopts = -p no:ftplugin -p pytest_ftplugin.prefixed"
"""What gives a project all option names that do not begin with ``--ft-``."""

OPTIONS = (
    Option(
        "--train-config",
        "path",
        "FILE",
        "train the adapter this YAML file describes (or find it, if nothing it depends on changed) and test it",
        ini="ft_train_config",
    ),
    Option("--adapter", "path", "PATH", "test this adapter folder; nothing is trained", ini="ft_adapter"),
    Option(
        "--base-only",
        "switch",
        "",
        "test the base model without an adapter: the one --base-model names, or that of --train-config or --adapter",
    ),
    Option(
        "--base-model",
        "text",
        "REF",
        "the base model: a folder, a hub id, package://PACKAGE/FILE or a .gguf file",
        ini="ft_base_model",
    ),
    Option(
        "--endpoint",
        "text",
        "URL",
        "test the model behind an OpenAI-compatible server (key from OPENAI_API_KEY)",
        ini="ft_endpoint",
    ),
    Option("--model", "text", "NAME", "the name of the model at --endpoint", ini="ft_model"),
    Option(
        "--generations",
        "path",
        "FILE",
        "test replies made elsewhere: JSON lines with id (or case_id), text (or reply, output)"
        " and repeat (from 0; 0 if left out)",
    ),
    Option("--data", "path", "PATH", "train on this file instead of the config's datasets", ini="ft_data"),
    Option(
        "--set",
        "list",
        "KEY=VALUE",
        "override a value of the config, as in --set serve.dtype=float32 (repeatable)",
        ini="ft_set",
    ),
    Option(
        "--decode",
        "choice",
        "MODE",
        "how replies are decoded: freely, held to the declared grammars, or both, as two runs side by side"
        " (default: the config's decode.mode, else greedy)",
        choices=("greedy", "grammar", "both"),
        ini="ft_decode",
    ),
    Option(
        "--engine",
        "choice",
        "NAME",
        "serve with this engine instead of the config's serve.engine",
        choices=("vllm", "transformers"),
        ini="ft_engine",
    ),
    Option(
        "--baseline",
        "choice",
        "WHAT",
        "first run the same selection on the base model and show both side by side",
        choices=("base", "none"),
        ini="ft_baseline",
    ),
    Option(
        "--ft-repeats",
        "count",
        "K",
        "ask for K replies to every case; each is an item of its own (case-id, case-id@2, …)",
        ini="ft_repeats",
    ),
    Option(
        "--ft-home",
        "path",
        "PATH",
        "where models, adapters and replies are kept (default: $HARNESS_HOME, else .harness in the current folder)",
        ini="ft_home",
    ),
    Option(
        "--ft-reports",
        "path",
        "PATH",
        "where reports/<run id> folders are written (default: reports under pytest's rootdir)",
        ini="ft_reports",
    ),
    Option(
        "--ft-replay",
        "path",
        "FILE",
        "run again exactly the failures recorded in this failures.jsonl, with their recorded cases and replies:"
        " no model",
    ),
    Option("--ft-select", "path", "FILE", "run only the node ids listed in this file, one a line"),
    Option("--ft-run-file", "path", "FILE", "write the run's id and folder to this file, as JSON"),
    Option(
        "--cache-endpoint",
        "switch",
        "",
        "reuse stored replies of --endpoint in new runs too (somebody else may have changed that model)",
        ini="ft_cache_endpoint",
    ),
)


@dataclass(frozen=True)
class Mark:
    """One mark and what it means."""

    signature: str
    help: str


MARKS = (
    Mark(
        "cases(source, from_sample=None)",
        "one item per case of source: a file, relative to the test's own, or (by keyword: source=f) a function that"
        " returns cases; from_sample maps the file's training rows to cases",
    ),
    Mark(
        "grammar(json=…, regex=…, choice=…, lark=…)",
        "one of: what replies are held to under --decode grammar. json and lark take a file (relative to the test's"
        " own) or the schema or grammar itself",
    ),
    Mark("level1", "a check that code can make: fast, exact, free"),
    Mark("level2", "a check that needs judgement"),
    Mark("must_pass", "a test that no case may fail: named apart in the summary"),
    Mark(
        "tags(key=value, …)",
        "tags of the test's verdicts, added to the case's own; select with -m \"tags(key='value')\"",
    ),
)


def add_options(parser: pytest.Parser, *, short: bool = True) -> None:
    """Register every option of the table with pytest, each beside its ini key.

    Without ``short`` only the ``--ft-`` names are taken, and all others are free for a project's own.
    """
    group = parser.getgroup("ft", "train, serve and test a language model")
    for option in OPTIONS:
        settings: dict[str, Any] = {"dest": option.dest, "help": option.help, "default": None}
        if option.kind == "switch":
            settings["action"] = "store_true"
        else:
            settings["metavar"] = option.metavar
        if option.kind == "list":
            settings["action"] = "append"
        if option.kind == "count":
            settings["type"] = int
        if option.choices:
            settings["choices"] = option.choices
            del settings["metavar"]
        group.addoption(*dict.fromkeys([*([option.flag] if short else []), option.prefixed]), **settings)
        if option.ini:
            kind: Literal["linelist", "string"] = "linelist" if option.kind == "list" else "string"
            parser.addini(option.ini, f"as {option.flag}", type=kind)


def clash(error: argparse.ArgumentError) -> str | None:
    """Return what to do about a ``conftest.py`` that adds an option of ours; None if it is about another option."""
    taken = [option for option in OPTIONS if option.flag in re.findall(r"--[\w-]+", str(error))]
    if not taken:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f"{f.filename}:{f.lineno}" for f in reversed(frames) if f.name == "pytest_addoption"), "a plugin")
    names = ", ".join(option.flag for option in taken)
    return (
        f"{place} adds the option {names}, which ft-harness has too.\n"
        "  To do: rename it there, or write one of these in the ini file:\n"
        f"  {PREFIXED}   (ft-harness has second names only: {taken[0].prefixed})\n"
        "  addopts = -p no:ftplugin   (no ft-harness)"
    )


def add_marks(config: pytest.Config) -> None:
    """Register every mark of the table, so that ``--strict-markers`` knows them."""
    for mark in MARKS:
        config.addinivalue_line("markers", f"{mark.signature}: {mark.help}")
