"""The run this pytest process owns: its job, its verdicts, its report files."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_ftplugin.plan import Plan
from pytest_ftplugin.replies import Run, StoredReplies
from pytest_ftplugin.trial import Trial

if TYPE_CHECKING:
    import pytest

    from harness.job import FillReport, JobSession, Target
    from harness.protocols import Engine, OnEvent
    from harness.store import JsonlWriter
    from harness.types import Verdict
    from pytest_ftplugin.session import State

BATCH = 256
BATCH_SECONDS = 0.5


class LiveRun:
    """One run over one model, from the prefetch to the last verdict."""

    def __init__(self, state: State, plan: Plan, on_event: OnEvent) -> None:
        """Make the job; nothing heavy happens yet.

        Raises:
            HarnessError: what was asked for cannot be used.
        """
        from harness.job import JobSession

        config = state.pytest_config
        self.plan = plan
        self.job: JobSession = JobSession(
            state.request(),
            trainer=config.hook.pytest_ft_trainer(config=config),
            engine_factory=lambda target, _: _engine_of_hooks(config, target),
            on_event=on_event,
        )
        self.mode = state.mode
        self.outcomes: Counter[str] = Counter()
        self.filled: FillReport | None = None
        self.replies: StoredReplies | None = None
        self.unclaimed: list[str] = []
        """Ids in the file of generations that belong to no selected case."""
        self._generations = state.settings.generations
        self._run_file = state.settings.run_file
        self._pending: list[Verdict] = []
        self._flushed = time.monotonic()
        self._results: JsonlWriter | None = None
        self._failures: JsonlWriter | None = None

    def prefetch(self) -> None:
        """Have the model and every wanted reply.

        Raises:
            HarnessError: training, serving or an input failed.
        """
        job, wanted = self.job, self.plan.wanted
        job.prepare()
        run = Run(job.run_id, job.folder, job.target.label, self.mode, job.target.adapter)
        if self._run_file is not None:
            from harness.store import write_atomic

            self._run_file.parent.mkdir(parents=True, exist_ok=True)
            data = {"run": run.id, "folder": str(run.folder), "label": run.label}
            write_atomic(self._run_file, json.dumps(data).encode(), "the run file")
        requests = job.requests([(trial.case, trial.repeat) for trial in wanted])
        for trial, request in zip(wanted, requests, strict=True):
            trial.key = request.key
        self.replies = StoredReplies(run, job.store, job.key_context, job.reply, wanted)
        self.filled = job.fill(requests)
        self.unclaimed = _unclaimed(self._generations, wanted) if self._generations else []

    def take(self, verdict: Verdict) -> None:
        """Record a verdict; in a quick stream of them, a moment later and several at once."""
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome == "fail":
            self._keep_failure(verdict)
        self._pending.append(verdict)
        if len(self._pending) >= BATCH or time.monotonic() - self._flushed > BATCH_SECONDS:
            self.flush()

    def _keep_failure(self, verdict: Verdict) -> None:
        from harness.store import JsonlWriter
        from harness.types import Failure

        if self._failures is None:
            self._failures = JsonlWriter(self.job.folder / "failures.jsonl", "failures")
        trial = self.plan.trials[verdict.nodeid]
        key = verdict.generation_key
        generation = self.job.store.generations([key]).get(key) if key else None
        self._failures.write(Failure(verdict, trial.case, generation))

    def flush(self) -> None:
        """Bring pending verdicts to disk; what is there survives a crash."""
        from harness.store import JsonlWriter

        if self._pending:
            if self._results is None:
                self._results = JsonlWriter(self.job.folder / "results.jsonl")
            self._results.write(*self._pending)
            self.job.record(self._pending)
        self._pending = []
        self._flushed = time.monotonic()

    def finish(self, status: str, info: Mapping[str, Any]) -> None:
        """Write what is still to be written and mark the run as ended."""
        if self.replies is None:  # it never came to a run
            return
        self.flush()
        for writer in (self._results, self._failures):
            if writer is not None:
                writer.close()
        self.job.finish(status, {**info, "outcomes": dict(self.outcomes)})

    def close(self) -> None:
        """Stop everything the run started. May be called twice."""
        self.job.close()


def _engine_of_hooks(config: pytest.Config, target: Target) -> Engine | None:
    if target.kind == "generations":  # a file is read, not served
        return None
    engine: Engine | None = config.hook.pytest_ft_engine(config=config, target=target)
    return engine


def _unclaimed(path: Path, wanted: Sequence[Trial]) -> list[str]:
    from harness.job.replies import read_replies

    known = {trial.case.id for trial in wanted}
    return list(dict.fromkeys(case_id for case_id, _ in read_replies(path) if case_id not in known))
