"""An adapter or a run's model, opened by hand: to serve it, to talk to it, to merge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.data import Renderer
from harness.errors import ModelError
from harness.job.lookup import look_up
from harness.job.request import RunRequest
from harness.job.resolve import base_named_by
from harness.job.serve import check_served, local_engine
from harness.models import read_adapter, resolve_base
from harness.protocols import OnEvent
from harness.serving import LocalEngine
from harness.store import Home
from harness.types import Adapter, Base, Message


@dataclass(frozen=True)
class Found:
    """What a name on the command line stands for."""

    base: Base
    adapter: Adapter | None

    @property
    def label(self) -> str:
        """A short name for people."""
        return f"adapter {self.adapter.content_hash[:8]}" if self.adapter else "base"


@dataclass(frozen=True)
class Opened:
    """A model that can be talked to."""

    label: str
    renderer: Renderer
    engine: LocalEngine
    base_engine: LocalEngine | None
    """The base alone, where the engine with the adapter cannot answer for it."""
    check: Callable[[], object]

    def start(self, on_event: OnEvent) -> None:
        """Start the engines; the adapter is seen to be applied before anything is said."""
        try:
            self.engine.start(on_event)
            self.check()
            if self.base_engine:
                self.base_engine.start(on_event)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the engines."""
        self.engine.close()
        if self.base_engine:
            self.base_engine.close()


def find_target(name: str, base_model: str | None, home: Home, reports: Path, on_event: OnEvent) -> Found:
    """Return base and adapter that ``name`` (an adapter's folder, a run) stands for.

    Raises:
        ModelError: there is no such thing, or base and adapter do not belong together.
    """
    named = look_up(name, home, reports)
    ref = base_model or named.base or (base_named_by(named.adapter) if named.adapter else None)
    if ref is None:
        raise ModelError(f"{name} does not say which base it belongs to", hint="name it: --base-model FOLDER|HUB-ID")
    base = resolve_base(ref, home, on_event=on_event)
    return Found(base, read_adapter(named.adapter, base, home) if named.adapter else None)


def open_target(
    name: str,
    base_model: str | None,
    engine: str,
    home: Home,
    reports: Path,
    on_event: OnEvent,
    *,
    with_base: bool = False,
) -> Opened:
    """Return the unstarted engine for what ``name`` stands for, and its renderer."""
    found = find_target(name, base_model, home, reports, on_event)
    adapter = found.adapter
    request = RunRequest(home=home, reports=reports, engine=engine)
    renderer = Renderer.from_folder(
        found.base.path,
        template=adapter.template if adapter else None,
        special_tokens=adapter.special_tokens if adapter else {},
    )
    work = home.sessions / "by-hand"
    served = local_engine(request, found.base, adapter, work, on_event)
    beside = with_base and adapter is not None and served.identity["adapter"] == "merged"
    canary = [renderer.prompt_ids((Message("user", "What is the capital of France?"),), ())]
    return Opened(
        label=found.label,
        renderer=renderer,
        engine=served,
        base_engine=local_engine(request, found.base, None, work, on_event) if beside else None,
        check=lambda: check_served(served, home, found.base, adapter, canary),
    )
