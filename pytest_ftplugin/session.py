"""The state of one pytest session that tests a model."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_ftplugin.collection import CaseLoader
from pytest_ftplugin.grammars import Grammars, Guided
from pytest_ftplugin.live import LiveRun
from pytest_ftplugin.replies import RecordedReplies, Replies, Run
from pytest_ftplugin.settings import Settings, read_settings
from pytest_ftplugin.terminal import Terminal
from pytest_ftplugin.xdist import worker_replies

if TYPE_CHECKING:
    from harness.config import RunConfig
    from harness.job import RunRequest
    from harness.reporting.terminal import Column, Tallies
    from harness.types import DecodeMode, Grammar, Verdict
    from pytest_ftplugin.broker import Broker
    from pytest_ftplugin.replay import Replay

Role = Literal["solo", "controller", "worker"]
WORKER_KEY = "ft"


class State:
    """What the hooks share. Made when the first option or mark of ours is met; until then there is none."""

    def __init__(self, config: pytest.Config) -> None:
        """Read the options.

        Raises:
            pytest.UsageError: they contradict each other.
        """
        self.pytest_config = config
        self.settings: Settings = read_settings(config)
        self.handed: dict[str, Any] = getattr(config, "workerinput", {}).get(WORKER_KEY, {})
        """What the xdist controller hands to this worker."""
        self.loader = CaseLoader(self)
        self.grammars = Grammars(lambda: self.engine_name, lambda: self.configured_grammar)
        self.guided: Guided | None = None
        """What ``grammar`` mode holds to a grammar; None before the prefetch and in other modes."""
        self.terminal = Terminal(self)
        self.live: LiveRun | None = None
        """The run this process owns; None in xdist workers, before the prefetch, and in a replay."""
        self.columns: list[Column] = []
        """The runs to compare with."""
        self.tallies: Tallies = defaultdict(Counter)
        self.broken_must_pass: list[str] = []
        self.engine_failed = False
        handed = self.handed.get("exchange")
        self.exchange: Path | None = Path(handed) if handed else None
        """Folder through which xdist's controller and workers hand things to each other."""
        self.broker: Broker | None = None
        self._replies: Replies | None = None
        self._closed = False

    @property
    def role(self) -> Role:
        """Whether this process runs tests itself, hands them to xdist workers, or is one."""
        if hasattr(self.pytest_config, "workerinput"):
            return "worker"
        return "controller" if self.pytest_config.pluginmanager.has_plugin("dsession") else "solo"

    @cached_property
    def run_config(self) -> RunConfig | None:
        """The training config, if one is named.

        Raises:
            ConfigError: it is wrong; every problem is listed.
        """
        s = self.settings
        if s.train_config is None:
            return None
        from harness.config import load_config

        return load_config(s.train_config, overrides=s.set, data=s.data)

    @cached_property
    def mode(self) -> DecodeMode:
        """How this session decodes. Of ``--decode both`` it is the second half."""
        handed = self.handed.get("mode")
        if handed:
            return "grammar" if handed == "grammar" else "greedy"
        if self.settings.decode is not None:
            return "greedy" if self.settings.decode == "greedy" else "grammar"
        return self.run_config.decode.mode if self.run_config else "greedy"

    @cached_property
    def configured_grammar(self) -> Grammar | None:
        """The config's grammar, for cases that declare none."""
        grammar = self.run_config.decode.grammar if self.run_config else None
        return grammar.grammar() if grammar else None

    @cached_property
    def engine_name(self) -> str:
        """The engine that will enforce grammars."""
        handed = self.handed.get("engine")
        if handed:
            return str(handed)
        return "endpoint" if self.settings.endpoint else self.request().serve().engine

    @cached_property
    def replay(self) -> Replay | None:
        """The recorded failures to run again, if that was asked for.

        Raises:
            DataError: the file cannot be used.
        """
        if self.settings.replay is None:
            return None
        from pytest_ftplugin.replay import Replay

        return Replay.read(self.settings.replay)

    @cached_property
    def selected(self) -> frozenset[str]:
        """The node ids of ``--ft-select``.

        Raises:
            pytest.UsageError: the file cannot be read.
        """
        path = self.settings.select
        try:
            text = path.read_text(encoding="utf-8") if path else ""
        except (OSError, UnicodeDecodeError) as error:
            raise pytest.UsageError(f"cannot read the selection {path}: {error}") from None
        return frozenset(line for line in text.splitlines() if line.strip())

    @property
    def replies(self) -> Replies | None:
        """Where tests read replies from; None before the prefetch."""
        if self._replies is None and self.role == "worker":
            self._replies = self._replayed() if self.settings.replay else worker_replies(self)
        return self._replies

    @replies.setter
    def replies(self, replies: Replies | None) -> None:
        self._replies = replies

    def open_replay(self) -> None:
        """Let tests read recorded replies."""
        self._replies = self._replayed()

    def _replayed(self) -> RecordedReplies:
        path = self.settings.replay or Path()
        return RecordedReplies(Run("replay", path.parent, f"replay of {path}", self.mode))

    def take(self, verdict: Verdict) -> None:
        """Count a verdict, and record it if there is a run to record it in."""
        self.tallies[verdict.suite, verdict.test][verdict.outcome] += 1
        if "must_pass" in verdict.marks and verdict.outcome != "pass":
            self.broken_must_pass.append(verdict.nodeid)
        if self.live is not None:
            self.live.take(verdict)

    def close(self) -> None:
        """Stop everything this session started. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self.broker is not None:
            self.broker.close()
        if self.live is not None:
            self.live.close()
        if self.exchange is not None and self.role != "worker":
            shutil.rmtree(self.exchange, ignore_errors=True)

    @property
    def reports(self) -> Path:
        """Where report folders are written."""
        return self.settings.reports or self.pytest_config.rootpath / "reports"

    def request(self) -> RunRequest:
        """Return what is asked for in the form the job takes."""
        from harness.job import RunRequest
        from harness.store import Home

        s = self.settings
        return RunRequest(
            home=Home.find(s.home),
            reports=self.reports,
            config=self.run_config,
            adapter=s.adapter,
            base_only=s.base_only,
            base_model=s.base_model,
            endpoint=s.endpoint,
            model=s.model,
            generations=s.generations,
            engine=s.engine,
            mode=self.mode,
            cache_endpoint=s.cache_endpoint,
            argv=("pytest", *map(str, self.pytest_config.invocation_params.args)),
        )

    def check(self) -> None:
        """Read everything the command line names, so that what is wrong with it is said before anything runs.

        Raises:
            pytest.UsageError: something is wrong with it.
        """
        from harness.errors import HarnessError

        try:
            _ = self.run_config, self.replay
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from None


_STATE = pytest.StashKey[State]()


def state_of(config: pytest.Config) -> State:
    """Return the session's state, made on first use.

    Raises:
        pytest.UsageError: the options contradict each other.
    """
    if _STATE not in config.stash:
        config.stash[_STATE] = state = State(config)
        register(state)
    return config.stash[_STATE]


def known_state(config: pytest.Config) -> State | None:
    """Return the session's state if there is one: if not, nothing of ours is used."""
    return config.stash.get(_STATE, None)


def register(state: State) -> None:
    """Register the hooks of a session that tests a model."""
    from pytest_ftplugin.ending import Ending
    from pytest_ftplugin.prefetch import Prefetch
    from pytest_ftplugin.reports import OneAttempt, Reports
    from pytest_ftplugin.selection import Selection
    from pytest_ftplugin.terminal import Summary
    from pytest_ftplugin.xdist import Controller, Worker

    plugins = state.pytest_config.pluginmanager
    for hooks in (
        Selection,
        Prefetch,
        Reports,
        OneAttempt,
        Summary,
        Ending,
        Worker if state.role == "worker" else Controller,
    ):
        plugins.register(hooks(state), f"ft-{hooks.__name__.lower()}")
