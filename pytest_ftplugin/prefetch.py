"""The phase between collection and the first test: train or find, then generate every missing reply."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_ftplugin.grammars import Guided
from pytest_ftplugin.plan import Plan
from pytest_ftplugin.settings import HOW_TO_NAME_A_MODEL

if TYPE_CHECKING:
    from harness.errors import HarnessError
    from pytest_ftplugin.session import State


class Prefetch:
    """Hooks of a session that runs its tests itself (not under xdist)."""

    def __init__(self, state: State) -> None:
        """Serve ``state``'s session."""
        self._state = state

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Prefetch, unless pytest itself is about to run no test."""
        if self._state.role != "solo" or session.config.option.collectonly or collection_failed(session):
            return
        gc.freeze()  # items and cases live until the end: the collector need not walk all of them again and again
        prefetch(self._state, Plan.of(session.items, self._state.settings.names_a_model))
        gc.freeze()


def collection_failed(session: pytest.Session) -> bool:
    """Whether collection errors keep pytest from running any test."""
    return bool(session.testsfailed) and not session.config.option.continue_on_collection_errors


def prefetch(state: State, plan: Plan) -> None:
    """Make ready whatever the plan's tests read.

    Raises:
        pytest.UsageError: no model is named, or what is named cannot be used.
        pytest.exit.Exception: training or serving failed.
    """
    if not plan.needs_model:
        return
    if not state.settings.names_a_model:
        what = (
            f"{len(plan.trials)} collected items ask for a model's replies" if plan.trials else "tests ask for a model"
        )
        raise pytest.UsageError(f"{what}, but no model is named: {HOW_TO_NAME_A_MODEL}")
    from harness.errors import HarnessError

    try:
        if state.settings.replay is not None:
            state.open_replay()
        else:
            _open_run(state, plan)
    except HarnessError as error:
        stop(state, error)


def _open_run(state: State, plan: Plan) -> None:
    from pytest_ftplugin.live import LiveRun
    from pytest_ftplugin.others import run_others

    state.guided = _guided(state, plan)
    state.terminal.notes(state.run_config)
    state.columns = run_others(state, plan)
    with state.terminal.progress() as on_event:
        # known to the state before it does anything: whatever happens, the session's end closes it
        state.live = LiveRun(state, plan, on_event)
        state.live.prefetch()
    state.replies = state.live.replies
    state.terminal.prefetched(state.live)


def _guided(state: State, plan: Plan) -> Guided | None:
    """Count what is held to a grammar, before anything is trained for it.

    Raises:
        GrammarError: nothing would be.
    """
    if state.mode != "grammar" or state.settings.generations is not None:
        return None
    guided = Guided.of((trial.case for trial in plan.wanted), state.configured_grammar)
    by_option = state.settings.decode is not None
    guided.require(f"--decode {state.settings.decode}" if by_option else "the config says decode.mode: grammar")
    return guided


def stop(state: State, error: HarnessError) -> NoReturn:
    """End the session with the error's own message and exit code.

    Raises:
        pytest.UsageError: the user's input is at fault.
        pytest.exit.Exception: something failed that was asked for correctly.
    """
    from harness.errors import EngineError, InputError, TrainingError

    if isinstance(error, InputError):
        raise pytest.UsageError(str(error)) from None
    known: dict[type[HarnessError], str] = {TrainingError: "training failed", EngineError: "the engine failed"}
    what = known.get(type(error), "the run cannot go on")
    state.terminal.failure(what, str(error))
    pytest.exit(what, returncode=error.exit_code)
