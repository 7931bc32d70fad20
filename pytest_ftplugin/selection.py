"""Selections of our own: ``--ft-select`` and ``--ft-replay``."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import pytest

from pytest_ftplugin.terminal import shortened

if TYPE_CHECKING:
    from pytest_ftplugin.session import State


class Selection:
    """Deselects every item that is not asked for."""

    def __init__(self, state: State) -> None:
        """Select for ``state``'s session."""
        self._state = state

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the items of the list or of the recorded failures."""
        state = self._state
        if state.settings.select is None and state.settings.replay is None:
            return
        wanted: Collection[str] = state.selected if state.replay is None else state.replay.nodeids
        kept = [item for item in items if item.nodeid in wanted]
        dropped = [item for item in items if item.nodeid not in wanted]
        missing = sorted(set(wanted) - {item.nodeid for item in kept})
        if missing and state.role != "worker":
            source = state.settings.replay or state.settings.select
            state.terminal.line(f"ft: not collected, though {source} names them: {shortened(missing)}")
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = kept
