"""pytest-xdist: the controller trains, serves and records once; workers read what it stored.

The first worker that finishes its collection leaves a plan in a folder that both know. The
controller prefetches from it while workers wait to be given tests, and leaves there what they need:
the run, the keys of its replies, and the broker's address for second turns.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ftplugin.plan import Plan
from pytest_ftplugin.prefetch import collection_failed, prefetch
from pytest_ftplugin.replies import Replies, Run, StoredReplies
from pytest_ftplugin.trial import SESSION

if TYPE_CHECKING:
    from pytest_ftplugin.session import State

PLAN, CLAIM, SHARED, SOCKET = "plan.json", "claim", "session.json", "s"


class Controller:
    """Hooks of the process that hands tests to workers."""

    def __init__(self, state: State) -> None:
        """Act for ``state``'s session."""
        self._state = state
        self._done = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Prefetch once, before any worker is given a test."""
        folder = self._state.exchange
        if self._done or folder is None or not (folder / PLAN).exists():
            return
        self._done = True
        plan = Plan.read(folder / PLAN)
        session = self._state.pytest_config.stash[SESSION]
        if plan.needs_model and collection_failed(session):
            raise session.Interrupted(f"{session.testsfailed} errors during collection")
        prefetch(self._state, plan)
        self._share(folder)

    def _share(self, folder: Path) -> None:
        """Leave for the workers what they read replies with."""
        live = self._state.live
        if live is None or live.replies is None:
            return
        from harness.types import to_json
        from pytest_ftplugin.broker import Broker

        key = secrets.token_bytes(32)
        self._state.broker = Broker(folder / SOCKET, key, live.job.reply)
        data = {
            "run": to_json(live.replies.run),
            "store": str(live.job.store.path),
            "keys": to_json(live.job.key_context),
            "broker_key": key.hex(),
        }
        (folder / SHARED).write_text(json.dumps(data), encoding="utf-8")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, error: object) -> None:
        """Let another worker write the plan if the one that meant to is gone."""
        folder = self._state.exchange
        if error and folder is not None and not (folder / PLAN).exists():
            (folder / CLAIM).unlink(missing_ok=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """Record the item whose worker died as an error."""
        live = self._state.live
        if live is None or crashitem not in live.plan.trials:
            return
        from harness.types import Verdict

        trial = live.plan.trials[crashitem]
        self._state.take(
            Verdict(
                run=live.job.run_id,
                nodeid=crashitem,
                test=crashitem.partition("[")[0],
                case_id=trial.case.id,
                suite=trial.case.suite,
                outcome="error",
                generation_key=trial.key,
                tags=trial.case.tags,
                cluster=trial.case.cluster,
                repeat=trial.repeat,
                reason="the pytest-xdist worker that ran this item crashed",
            )
        )


class Worker:
    """Hooks of a process that runs tests for a controller."""

    def __init__(self, state: State) -> None:
        """Act for ``state``'s session."""
        self._state = state

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Leave the plan before the controller hears that collection is done, if no other worker has."""
        folder = self._state.exchange
        if folder is None:
            return
        try:
            os.close(os.open(folder / CLAIM, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        Plan.of(session.items, self._state.settings.names_a_model).write(folder / PLAN)


def hand_over(state: State, node: Any) -> None:
    """Give a worker that is being set up what it needs to know, in the controller."""
    from pytest_ftplugin.session import WORKER_KEY

    if state.settings.names_a_model:
        state.check()
    if state.exchange is None:
        state.exchange = Path(tempfile.mkdtemp(prefix="ft-"))  # readable by this user only
    handed: dict[str, Any] = {"exchange": str(state.exchange)}
    if state.settings.train_config or state.settings.decode:
        handed |= {"mode": state.mode}
    if state.mode == "grammar":
        handed |= {"engine": state.engine_name}
    node.workerinput[WORKER_KEY] = handed


def worker_replies(state: State) -> Replies | None:
    """Return a worker's view of the controller's run; None while there is none."""
    folder = state.exchange
    if folder is None or not (folder / SHARED).exists():
        return None
    from harness.job import KeyContext
    from harness.store import RunStore
    from pytest_ftplugin.broker import BrokerClient

    data = json.loads((folder / SHARED).read_text(encoding="utf-8"))
    client = BrokerClient(folder / SOCKET, bytes.fromhex(data["broker_key"]))
    return StoredReplies(
        Run.from_json(data["run"]), RunStore(Path(data["store"])), KeyContext.from_json(data["keys"]), client.ask
    )
