"""What the plugin writes to the terminal: header, progress, the table at the end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_ftplugin.settings import Settings

if TYPE_CHECKING:
    from harness.config import RunConfig
    from harness.protocols import OnEvent
    from harness.reporting.progress import ProgressPrinter
    from pytest_ftplugin.live import LiveRun
    from pytest_ftplugin.session import State

MUST_PASS_SHOWN = 20


class Terminal:
    """Writes through pytest's own reporter, where there is one."""

    def __init__(self, state: State) -> None:
        """Write for ``state``'s session."""
        self._state = state

    @property
    def _reporter(self) -> Any:
        return self._state.pytest_config.pluginmanager.getplugin("terminalreporter")

    def line(self, text: str, **markup: bool) -> None:
        """Write one line."""
        reporter = self._reporter
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(text, **markup)
            reporter.flush()  # progress is to be seen in a pipe or a file as well, and now

    @contextmanager
    def progress(self) -> Iterator[OnEvent]:
        """Give what shows progress events; what comes after the block shows only that an engine starts."""
        printer: ProgressPrinter | None = None
        closed = False

        def show(event: Mapping[str, Any]) -> None:
            nonlocal printer
            if closed:
                self._show_late(event)
                return
            if printer is None:
                printer = self._printer()
            printer(event)

        try:
            yield show
        finally:
            closed = True
            if printer is not None:
                printer.close()

    def _printer(self) -> ProgressPrinter:
        from harness.reporting.progress import Lines, ProgressPrinter, progress_printer

        if self._reporter is None or not sys.stdout.isatty():
            return ProgressPrinter(Lines(self.line))  # without rich, which takes a moment to load
        from rich.console import Console

        self._reporter.ensure_newline()
        return progress_printer(Console(file=sys.stdout))

    def _show_late(self, event: Mapping[str, Any]) -> None:
        """Show that an engine starts for a second turn, past pytest's capturing of the test that asked."""
        from harness.reporting.progress import event_line

        text = event_line(event) if event["event"] in ("engine_starting", "engine_ready") else None
        if text is None or threading.current_thread() is not threading.main_thread():
            return
        capture = self._state.pytest_config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            self.line(text)

    def failure(self, what: str, message: str) -> None:
        """Write why the session ends."""
        reporter = self._reporter
        if reporter is None:
            sys.stderr.write(f"{what}: {message}\n")
            return
        reporter.ensure_newline()
        reporter.write_line(f"ERROR: {what}", red=True, bold=True)
        for line in message.splitlines():
            reporter.write_line(line, red=True)

    def notes(self, config: RunConfig | None) -> None:
        """Say which keys of the config are accepted and not used here, and why.

        Sessions of ours over another model or decoding run without header: theirs is the same config.
        """
        if config is None or self._state.pytest_config.getoption("no_header", False):
            return
        for note in config.notes:
            self.line(f"ft: note: {note}", yellow=True)

    def prefetched(self, live: LiveRun) -> None:
        """Write what is tested and what it took to have the replies."""
        report, replies = live.filled, live.replies
        if report is None or replies is None:
            return
        parts = [f"{report.wanted} replies"]
        if report.generated:
            parts.append(f"{report.generated} generated in {report.seconds:.1f} s")
        if report.reused:
            parts.append(f"{report.reused} from the store")
        if report.errors:
            parts.append(f"{report.errors} failed")
        self.line(f"ft: run {replies.run.id}: {replies.run.label}: {', '.join(parts)}")
        if live.unclaimed:
            source = self._state.settings.generations
            self.line(
                f"ft: {source}: {len(live.unclaimed)} replies belong to no selected case: {shortened(live.unclaimed)}"
            )

    def header(self) -> list[str]:
        """Return the lines of pytest's header."""
        settings = self._state.settings
        if not settings.names_a_model:
            return []
        decode = f", decode {settings.decode}" if settings.decode else ""
        repeats = f", {settings.repeats} repeats" if settings.repeats > 1 else ""
        return [f"ft: {subject(settings)}{decode}{repeats}"]


def shortened(names: Sequence[str], shown: int = 5) -> str:
    """Return the first names as one line, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"


def subject(s: Settings) -> str:
    """Return in a few words what the options say is tested."""
    if s.replay:
        return f"replay of {s.replay}"
    if s.generations:
        return f"replies of {s.generations}"
    if s.endpoint:
        return f"{s.model} at {s.endpoint}"
    if s.base_only:
        return f"base model {s.base_model or f'of {s.adapter or s.train_config}'}"
    if s.adapter:
        return f"adapter {s.adapter}"
    return f"training config {s.train_config}"


class Summary:
    """Hooks that write header and table."""

    def __init__(self, state: State) -> None:
        """Write for ``state``'s session."""
        self._state = state

    def pytest_report_header(self) -> list[str]:
        """Say what is tested."""
        return self._state.terminal.header()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write the table: one row per suite and test, one column per run."""
        state = self._state
        if state.role == "worker" or not state.tallies:
            return
        from harness.reporting.terminal import Column, comparison_table

        run = state.live.replies.run if state.live and state.live.replies else None
        label = run.label if run else subject(state.settings)
        if run and state.settings.decode == "both":
            label = f"{label}, {run.mode}"
        terminalreporter.section("model", sep="-")
        for line in comparison_table([*state.columns, Column(label, state.tallies)]):
            terminalreporter.write_line(line)
        if state.guided is not None:
            terminalreporter.write_line(str(state.guided), yellow=bool(state.guided.free))
        self._must_pass(terminalreporter)
        if run:
            terminalreporter.write_line(f"run {run.id}: {run.folder}")

    def _must_pass(self, terminalreporter: Any) -> None:
        broken = self._state.broken_must_pass
        if broken:
            terminalreporter.write_line(f"{len(broken)} must-pass items did not pass:", red=True)
            for nodeid in broken[:MUST_PASS_SHOWN]:
                terminalreporter.write_line(f"  {nodeid}", red=True)
            if len(broken) > MUST_PASS_SHOWN:
                terminalreporter.write_line(f"  and {len(broken) - MUST_PASS_SHOWN} more", red=True)
