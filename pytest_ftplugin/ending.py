"""The end of a session: the run is closed whatever happened to it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_ftplugin.session import State

COMPLETED = frozenset({pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED})
ENGINE_FAILED = 12


class Ending:
    """Hooks that finish and close the run."""

    def __init__(self, state: State) -> None:
        """End ``state``'s run."""
        self._state = state

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the run's last files, while the terminal summary can still name them."""
        state = self._state
        if state.live is None:
            state.close()
            return
        if state.engine_failed and exitstatus in COMPLETED:
            session.exitstatus = exitstatus = ENGINE_FAILED
        try:
            info = {"exit_status": int(exitstatus), **_selection(session, state), **_grammar(state)}
            state.live.finish(_status(exitstatus), info)
            self._tell_hooks()
        finally:
            state.close()

    def _tell_hooks(self) -> None:
        live, config = self._state.live, self._state.pytest_config
        if live is None or live.replies is None or not config.hook.pytest_ft_run_finished.get_hookimpls():
            return
        run = live.replies.run
        verdicts = live.job.store.verdicts(run.id)
        config.hook.pytest_ft_run_finished(config=config, run_id=run.id, folder=run.folder, verdicts=verdicts)

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """Close what a session that broke off before its finish left open."""
        self._state.close()


def _status(exitstatus: int) -> str:
    if exitstatus in COMPLETED:
        return "finished"
    return "interrupted" if exitstatus == pytest.ExitCode.INTERRUPTED else "failed"


def _grammar(state: State) -> dict[str, Any]:
    return {"grammar": asdict(state.guided)} if state.guided is not None else {}


def _selection(session: pytest.Session, state: State) -> dict[str, Any]:
    """Return what was selected, and why it may not have been everything."""
    option = session.config.option
    narrowed = {
        "-k": getattr(option, "keyword", ""),
        "-m": getattr(option, "markexpr", ""),
        "--lf": getattr(option, "lf", False),
        "--ft-select": bool(state.settings.select),
        "--maxfail": bool(session.shouldfail),
        "stopped": bool(session.shouldstop),
    }
    by = [name for name, value in narrowed.items() if value]
    by += ["node ids"] if any("::" in str(arg) for arg in session.config.args) else []
    live = state.live
    return {"items": len(live.plan.trials) if live else 0, "partial_by": by}
