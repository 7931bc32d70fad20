"""The fixtures: ``case``, ``generation``, ``adapter``, ``engine``, ``run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ftplugin.trial import Trial, trial_of

if TYPE_CHECKING:
    from harness.types import Adapter, Case, Generation, Message
    from pytest_ftplugin.replies import Replies, Run


class Conversation:
    """Asks the engine for more: further turns, or whole other prompts (fixture ``engine``)."""

    def __init__(self, replies: Replies, trial: Trial | None) -> None:
        """``trial`` gives the case that :meth:`follow_up` continues."""
        self._replies = replies
        self._trial = trial

    def reply(self, case: Case, repeat: int | None = None) -> Generation:
        """Return the model's reply to ``case``, stored like every other.

        Raises:
            EngineError: the engine failed, or (``RequestRefused``) refused this one request.
        """
        __tracebackhide__ = True
        from pytest_ftplugin.verdicts import RequestRefused

        own = self._trial.repeat if self._trial else 0
        generation = self._replies.ask(case, own if repeat is None else repeat)
        if generation.error:
            raise RequestRefused(f"case {case.id!r} got no reply: {generation.error}")
        return generation

    def follow_up(self, *turns: Message) -> Generation:
        """Return the reply to this test's case with ``turns`` added to it.

        Give the first reply as an assistant turn, then for example a tool's result.

        Raises:
            EngineError: the engine failed, or refused this request.
        """
        __tracebackhide__ = True
        from dataclasses import replace

        if self._trial is None:
            pytest.fail("engine.follow_up continues a case, and this test has none (@pytest.mark.cases)", pytrace=False)
        case = self._trial.case
        return self.reply(replace(case, id=f"{case.id}+{len(turns)}", messages=(*case.messages, *turns)))


def _replies(request: pytest.FixtureRequest) -> Replies:
    from pytest_ftplugin.session import known_state
    from pytest_ftplugin.settings import HOW_TO_NAME_A_MODEL

    state = known_state(request.config)
    if state is None or not state.settings.names_a_model:
        pytest.fail(f"`{request.fixturename}` needs a model: {HOW_TO_NAME_A_MODEL}", pytrace=False)
    if state.replies is None:
        pytest.fail(
            f"`{request.fixturename}` was asked for while tests run (getfixturevalue): name it in the test's arguments,"
            " so that the model is ready before the first test",
            pytrace=False,
        )
    return state.replies


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The case of this item (see ``@pytest.mark.cases``)."""
    trial = getattr(request, "param", None)
    if not isinstance(trial, Trial):
        pytest.fail("this test has no cases: add @pytest.mark.cases(FILE) to it or to its module", pytrace=False)
    return trial.case


@pytest.fixture
def generation(request: pytest.FixtureRequest, case: Case) -> Generation:
    """The model's reply to this item's case. Without a reply to judge the item is an error, not a failure."""
    from harness.errors import EngineError

    trial = trial_of(request.node)
    if trial is None:
        pytest.fail("this test has no cases: add @pytest.mark.cases(FILE) to it or to its module", pytrace=False)
    try:
        found = _replies(request).generation(trial)
    except EngineError as error:
        pytest.fail(str(error), pytrace=False)  # in a fixture this makes the item an error, not a failure
    if found.error:
        pytest.fail(f"case {case.id!r} got no reply: {found.error}", pytrace=False)
    return found


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Conversation:
    """Asks the served model for further turns; the replies are stored like all others."""
    return Conversation(_replies(request), trial_of(request.node))


@pytest.fixture(scope="session")
def adapter(request: pytest.FixtureRequest) -> Adapter | None:
    """The adapter under test: trained or found before the first test. None when a base or an endpoint is tested."""
    return _replies(request).run.adapter


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """The run: its id, its reports folder, what is tested, how it decodes."""
    return _replies(request).run
