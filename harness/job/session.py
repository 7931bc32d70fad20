"""A run: one pytest session over one served model and one decoding."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from harness.data import RENDERER_VERSION, Renderer
from harness.errors import HarnessError
from harness.job.fill import FillReport, generate_missing, generation_of, missing_requests, render_requests
from harness.job.identity import KeyContext
from harness.job.manifest import run_manifest, without_secrets
from harness.job.request import RunRequest, Target
from harness.job.resolve import resolve_target
from harness.job.serve import check_served, engine_for
from harness.protocols import Engine, OnEvent, Trainer
from harness.store import RunStore, digest, write_manifest
from harness.types import Case, Generation, Reply, Request, Verdict

T = TypeVar("T")
EngineFactory = Callable[[Target, RunRequest], "Engine | None"]


def new_run_id() -> str:
    """Return a run id that sorts by time, to the millisecond, and is unlike any other."""
    now = time.time()
    milliseconds = int(now * 1000) % 1000
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{milliseconds:03d}{secrets.token_hex(2)}"


class JobSession:
    """Owns the run: trains or finds, serves, generates, records. Lives in the pytest process.

    Under xdist it lives in the controller. Call :meth:`prepare`, then :meth:`fill`, then
    :meth:`record` as verdicts come, and :meth:`close` whatever happens.
    """

    def __init__(
        self,
        request: RunRequest,
        *,
        on_event: OnEvent,
        trainer: Trainer | None = None,
        engine_factory: EngineFactory | None = None,
    ) -> None:
        """Open the store and make the run's folder; nothing heavy happens before :meth:`prepare`.

        Args:
            request: what to test.
            on_event: receives the progress of training, serving and generating.
            trainer: replaces the built-in trainer.
            engine_factory: may return an engine of its own for a target; None: the built-in one.
        """
        self.request = request
        self.run_id = new_run_id()
        self.folder: Path = request.reports / self.run_id
        request.home.create()
        self.store = RunStore(request.home.runs_db)
        self._on_event = on_event
        self._trainer = trainer
        self._engine_factory = engine_factory
        self._target: Target | None = None
        self._engine: Engine | None = None
        self._context: KeyContext | None = None
        self._renderer: Renderer | None = None
        self._started = False
        self._applied: Mapping[str, Any] = {}
        self._scope: str | None = None
        self._lock = threading.RLock()
        self._timings: dict[str, float] = {}
        self._reports: list[FillReport] = []

    @property
    def target(self) -> Target:
        """The model under test; known after :meth:`prepare`."""
        return _prepared(self._target)

    @property
    def engine(self) -> Engine:
        """The engine that serves it; started only when a reply is missing."""
        return _prepared(self._engine)

    @property
    def key_context(self) -> KeyContext:
        """What the keys of this run's replies have in common; known after :meth:`prepare`."""
        return _prepared(self._context)

    def prepare(self) -> None:
        """Find or train the adapter, decide on the engine, begin the run in the store.

        Raises:
            InputError: the config, the rows, the base or the adapter are wrong.
            TrainingError: training failed.
            EngineError: the engine asked for is not installed.
        """
        started = time.monotonic()
        request = self.request
        self._target = target = resolve_target(request, self._trainer, self._on_event)
        own = self._engine_factory(target, request) if self._engine_factory else None
        self._engine = own or engine_for(request, target, self.folder, self._on_event)
        if request.kind == "endpoint" and not request.cache_endpoint:
            self._target = target = self._scope_to_run(target)
        self._context = KeyContext(
            model_hash=target.model_hash,
            template=digest([target.template, RENDERER_VERSION, dict(target.special_tokens)]),
            tokenizer_hash=target.base.tokenizer_hash if target.base else "",
            engine=dict(self._engine.identity),
            decoding=request.decoding(),
            grammar=request.grammar(),
        )
        info = {"label": target.label, "argv": request.argv, "scope": self._scope}
        self.store.begin(self.run_id, self._fingerprint(), without_secrets(info))
        self._timings["prepare"] = time.monotonic() - started

    def _fingerprint(self) -> str:
        request = self.request
        if request.kind == "endpoint":
            return digest([request.kind, request.endpoint, request.model, request.decoding()])
        return digest([request.kind, self.target.model_hash, request.decoding()])

    def _scope_to_run(self, target: Target) -> Target:
        """Bind an endpoint's replies to this run (or to the one that was cut short and is now taken up again).

        Somebody else may change the model behind an endpoint, so a finished run's replies prove nothing.
        """
        cut_short = self.store.unfinished(self._fingerprint())
        self._scope = str(self.store.run(cut_short).info["scope"]) if cut_short else self.run_id
        return replace(target, model_hash=digest([target.model_hash, self._scope]))

    def requests(self, wanted: Iterable[tuple[Case, int]]) -> list[Request]:
        """Return one request for every case and repeat, without prompt ids."""
        context = self.key_context
        return [
            Request(
                key=context.key(case, repeat),
                case_id=case.id,
                messages=case.messages,
                tools=case.tools,
                decoding=replace(context.decoding, seed=context.decoding.seed + repeat) if repeat else context.decoding,
                grammar=context.grammar_of(case),
                repeat=repeat,
            )
            for case, repeat in wanted
        ]

    def fill(self, requests: Sequence[Request]) -> FillReport:
        """Have a stored reply for every request; the engine starts only if one is missing.

        Raises:
            DataError: cases that the chat template cannot render.
            EngineError: the engine did not start, serves something else, or died.
        """
        started = time.monotonic()
        with self._lock:
            missing = missing_requests(requests, self.store)
            failed = prompt = completion = 0
            if missing:
                missing = self._rendered(missing)
                self._start(missing)
                begun = time.monotonic()
                failed, prompt, completion = generate_missing(
                    missing, self.engine, self.store, self.target.model_hash, self._on_event
                )
                self._timings["generate"] = self._timings.get("generate", 0.0) + time.monotonic() - begun
        report = FillReport(
            wanted=len(requests),
            reused=len({r.key for r in requests}) - len(missing),
            generated=len(missing),
            errors=failed,
            seconds=time.monotonic() - started,
            prompt_tokens=prompt,
            completion_tokens=completion,
        )
        self._reports.append(report)
        return report

    def reply(self, case: Case, repeat: int = 0) -> Generation:
        """Return one reply now, from the store if it is there; this is how second turns are asked for."""
        (request,) = self.requests([(case, repeat)])
        with self._lock:
            stored = self.store.generations([request.key]).get(request.key)
            if stored is not None and stored.error is None:
                return stored
            (rendered,) = self._rendered([request])
            self._start([rendered])
            landed: list[Reply] = []
            self.engine.generate([rendered], lambda _, reply: landed.append(reply))
            generation = generation_of(rendered, landed[0], self.target.model_hash)
            self.store.put_generation(generation)
            return generation

    def record(self, verdicts: Sequence[Verdict]) -> None:
        """Keep verdicts in the run store."""
        self.store.put_verdicts(verdicts)

    def finish(self, status: str, info: Mapping[str, Any] | None = None) -> Path:
        """Write the run's manifest and mark the run as ended; return the run's folder."""
        if self._target is not None:
            manifest = run_manifest(
                self.request, self.target, self.key_context, self.run_id,
                status=status, timings=self._timings, fills=self._reports,
                engine=self.engine.describe() if self._started else dict(self.engine.identity), applied=self._applied,
            )  # fmt: skip
            write_manifest(self.folder, {**manifest, **(info or {})})
            self.store.finish(self.run_id, status, info)
        return self.folder

    def close(self) -> None:
        """Stop the engine and close the store. May be called twice."""
        if self._engine is not None:
            self._engine.close()
        self.store.close()

    def renderer(self) -> Renderer:
        """Return the target's renderer, made once; a warm run never asks for it."""
        target = self.target
        if target.base is None:
            raise HarnessError(f"{target.label} has no tokenizer of ours: it applies its own chat template")
        if self._renderer is None:
            self._renderer = Renderer.from_folder(
                target.base.path, template=target.template, special_tokens=target.special_tokens
            )
        return self._renderer

    def _rendered(self, requests: Sequence[Request]) -> list[Request]:
        return render_requests(requests, self.renderer()) if self.engine.wants_ids else list(requests)

    def _start(self, requests: Sequence[Request]) -> None:
        if self._started:
            return
        begun = time.monotonic()
        self.engine.start(self._on_event)
        self._started = True
        if self.target.base is not None:
            rows = [request.prompt_ids for request in requests[:2]]
            self._applied = check_served(self.engine, self.request.home, self.target.base, self.target.adapter, rows)
        self._timings["engine_start"] = time.monotonic() - begun


def _prepared(value: T | None) -> T:
    if value is None:
        raise RuntimeError("the session is not prepared yet")
    return value
