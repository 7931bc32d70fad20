"""``docs/options.md``: what the plugin adds, from the tables and docstrings that make it so."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

import pytest

from harness.errors import EngineError, TrainingError
from pytest_ftplugin import fixtures, hookspecs
from pytest_ftplugin.options import MARKS, OPTIONS, PREFIXED

FIXTURES = ("case", "generation", "adapter", "engine", "run")

SECOND_TURN = """\
import pytest
from harness.types import Message


@pytest.mark.cases("cases.jsonl")
def test_it_stands_by_its_answer(generation, engine):
    second = engine.follow_up(Message("assistant", generation.text), Message("user", "Are you sure?"))
    assert second.text == generation.text
"""

EXIT_CODES: dict[int, str] = {
    pytest.ExitCode.OK: "every test passed",
    pytest.ExitCode.TESTS_FAILED: "tests failed or had errors: the run completed, and this is its result",
    pytest.ExitCode.INTERRUPTED: "interrupted: Ctrl-C, errors during collection (a case file that cannot be read), or"
    " a store or child process that failed",
    pytest.ExitCode.INTERNAL_ERROR: "an internal error of pytest or of a plugin",
    pytest.ExitCode.USAGE_ERROR: "usage error: wrong options, or a config, rows, a base or an adapter that cannot be"
    " used",
    pytest.ExitCode.NO_TESTS_COLLECTED: "no tests were collected or selected",
    6: "more warnings than `--max-warnings` allows (a pytest that has this option)",
    TrainingError.exit_code: "training failed",
    EngineError.exit_code: "the engine or the endpoint failed: it did not start, it died, or it serves something else",
}

HOOKS = {
    "pytest_ft_trainer": """\
def pytest_ft_trainer(config):
    return train


def train(job, train_rows, val_rows, out, on_event):
    import my_trainer  # reads input_ids and labels of each row, writes an adapter in peft's layout to out

    steps = my_trainer.fit(job.base, job.base_ref, train_rows, out)
    return {"steps": steps}  # kept in the manifest
""",
    "pytest_ft_engine": """\
from harness.types import Reply


class Echo:
    name = "echo"
    identity = {"name": "echo", "version": 1}  # part of every reply's key: change it when replies would change
    wants_ids = False  # True: requests bring prompt_ids, rendered with the model's chat template

    def start(self, on_event): ...

    def describe(self):
        return self.identity

    def generate(self, requests, on_reply):
        for request in requests:
            on_reply(request, Reply(request.messages[-1].content, finish_reason="stop"))

    def score(self, token_ids, *, base=False):
        raise NotImplementedError("an echo has no logprobs")

    def close(self): ...


def pytest_ft_engine(config, target):
    return Echo()
""",
    "pytest_ft_run_finished": """\
import json


def pytest_ft_run_finished(config, run_id, folder, verdicts):
    failed = [verdict.nodeid for verdict in verdicts if verdict.outcome == "fail"]
    (folder / "failed.json").write_text(json.dumps({"run": run_id, "failed": failed}))
""",
}
"""By name of the hook: an example of it, as it stands in a ``conftest.py``."""

_HEAD = f"""\
# Options, marks, fixtures, exit codes, hooks

Everything the pytest plugin adds. An ini key stands in `pytest.ini` or `[tool.pytest.ini_options]`; the
command line wins over it. Paths on the command line are relative to the current folder, paths in an ini file
to that file.

pytest settles its rootdir before it knows the options of plugins, and takes a path that follows an option
for a test path. Name a test path too (`pytest suites/ --adapter PATH`), or write `--adapter=PATH`.

Every option has a second name that begins with `--ft-`: `--ft-model` is `--model`. Where a project's own
`conftest.py` adds an option of the same name, `{PREFIXED}` in the
ini file leaves it all names but the second ones (messages then still speak of the first). Where the plugin
is installed and not wanted, `addopts = -p no:ftplugin` switches it off."""

_TOTALS = """\
The table at the end of a run counts, for each test, `passed/scored rate [low, high]`: what was not scored
(errors, unscored) stands apart, and the brackets are the rate's 95% interval in per cent (Wilson). It takes
items as independent: with `--ft-repeats`, or cases derived from one another, it is too narrow. A row over
several tests counts each reply several times and has none."""


def options_page() -> str:
    """Return the page."""
    parts = [
        _HEAD,
        _table("| option | ini key | |", _option_rows()),
        _table("| mark | |", (f"`{mark.signature}` | {mark.help}" for mark in MARKS)),
        _TOTALS,
        "## Fixtures",
        _table("| fixture | |", (f"`{name}` | {_doc(getattr(fixtures, name))}" for name in FIXTURES)),
        "A second turn, asked for in the test and stored like every other reply:",
        _code(SECOND_TURN),
        "## Exit codes",
        _table("| code | |", (f"{code:d} | {meaning}" for code, meaning in EXIT_CODES.items())),
        "## Hooks",
        "Implement them in a `conftest.py` or in a plugin of your own; leave out arguments that you do not need.",
        *(part for name in HOOKS for part in _hook(name)),
    ]
    return "\n\n".join(parts) + "\n"


def _option_rows() -> Iterator[str]:
    for option in OPTIONS:
        value = "\\|".join(option.choices) if option.choices else option.metavar
        ini = f"`{option.ini}`" if option.ini else ""
        yield f"`{f'{option.flag} {value}'.strip()}` | {ini} | {option.help}"


def _hook(name: str) -> list[str]:
    spec = getattr(hookspecs, name)
    signature = str(inspect.signature(spec)).replace("'", "")  # annotations are kept as text
    return [f"### `{name}`", _code(f"{name}{signature}"), _doc(spec), "For example:", _code(HOOKS[name])]


def _doc(documented: object) -> str:
    return (inspect.getdoc(documented) or "").replace("``", "`")


def _code(text: str) -> str:
    return f"```python\n{text.rstrip()}\n```"


def _table(head: str, rows: Iterable[str]) -> str:
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *(f"| {row} |" for row in rows)])
