"""Where a conversation's text is cut: at the assistant's turns.

So a prompt is tokenised the same way whether a reply is to be trained behind it or to be generated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.data.chat_text import ChatText, chat_message
from harness.data.problems import RowError, shorten
from harness.types import Message

Tools = Sequence[Mapping[str, Any]]
_UNKNOWN = "\0"
PROBE = (Message("user", "What is new?"), Message("assistant", "Nothing much, really"))
"""A conversation that every template should be able to render."""


@dataclass(frozen=True)
class Segment:
    """A piece of the text that is tokenised by itself."""

    text: str
    start: bool
    """Whether it begins the text."""
    turn: int | None = None
    """Index of the assistant's message that it is; None: it belongs to a prompt."""


@dataclass
class Split:
    """The text of a conversation in segments; their texts joined are what the model sees."""

    segments: list[Segment] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    """Indices of replies that are no segment of their own, because the template rewrites them later."""
    realigned: int = 0
    """Replies put behind the prompt that is served, where the template writes the whole conversation otherwise."""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(segment.text for segment in self.segments)

    def restart(self, text: str) -> None:
        """Drop all cuts: ``text`` is the prompt in one piece."""
        self.lost += [segment.turn for segment in self.segments if segment.turn is not None]
        self.segments = [Segment(text, True)]


class Splitter:
    """Cuts conversations rendered with one template."""

    def __init__(self, chat: ChatText, markers: Sequence[str]) -> None:
        """Keep the renderer, and the special tokens' texts (templates may close a text with one)."""
        self._chat = chat
        self._markers = tuple(markers)

    def render_prompt(self, messages: Sequence[Message], tools: Tools) -> str:
        """Return the whole text that asks for the assistant's next turn.

        Raises:
            RowError: the template refuses the conversation.
        """
        return self._chat.render([chat_message(message) for message in messages], tools, generate=True)

    def prompt(self, messages: Sequence[Message], tools: Tools) -> Split:
        """Return the text up to where the assistant's next turn begins.

        Raises:
            RowError: the template refuses the conversation, or leaves something out of it.
        """
        if not messages:
            raise RowError(["there are no messages, so nothing is asked"])
        turns = [chat_message(message) for message in messages]
        split = Split()
        for index, message in enumerate(messages):
            if message.role == "assistant":
                self._add_turn(split, turns, tools, index, message)
        self._add_prompt(split, turns, tools, len(turns))
        return split

    def row(self, messages: Sequence[Message], tools: Tools, *, to_the_end: bool = False) -> Split:
        """Return the text up to the end of the assistant's last turn (of the last turn, with ``to_the_end``).

        Raises:
            RowError: the template refuses the conversation, or leaves something out of it.
        """
        turns = [chat_message(message) for message in messages]
        split = Split()
        for index, message in enumerate(messages):
            if message.role == "assistant":
                self._add_turn(split, turns, tools, index, message)
        if to_the_end and messages and messages[-1].role != "assistant":
            whole, written = self._chat.render(turns, tools, generate=False), split.text
            if whole.startswith(written):
                split.segments.append(Segment(whole[len(written) :], not written))
        return split

    def spans(
        self, messages: Sequence[Message], tools: Tools, wanted: Sequence[int], text: str
    ) -> list[tuple[int, int]]:
        """Return where the turns at the ``wanted`` indices stand in ``text``, as character ranges.

        Raises:
            RowError: the template rewrites a turn once others follow.
        """
        turns = [chat_message(message) for message in messages]
        found: list[tuple[int, int]] = []
        for index in wanted:
            before = self._chat.render(turns[:index], tools, generate=False) if index else ""
            whole = self._chat.render(turns[: index + 1], tools, generate=False)
            if not (text.startswith(before) and text.startswith(whole)):
                raise RowError([f"turn {index + 1} is to be trained, but the chat template rewrites it later on"])
            found.append((len(before), len(whole)))
        return found

    def _add_turn(
        self, split: Split, turns: Sequence[Mapping[str, Any]], tools: Tools, index: int, message: Message
    ) -> None:
        self._add_prompt(split, turns, tools, index)
        prompt = split.text
        whole = self._chat.render(turns[: index + 1], tools, generate=False)
        if whole.startswith(prompt):
            reply = whole[len(prompt) :]
        else:
            reply = self._framed(whole, message) or ""
            if not reply and prompt == _UNKNOWN:
                raise RowError(["the conversation begins with the assistant, which the chat template cannot render"])
            if not reply:
                raise RowError([_not_a_prefix(prompt, whole, index)])
            if index == 0:
                split.restart(whole.removesuffix(reply))
            else:
                split.realigned += 1
        _check_complete(reply, message, index)
        split.segments.append(Segment(reply, False, index))

    @cached_property
    def _frame(self) -> tuple[str, str]:
        """What the template writes before and after the words of a plain reply."""
        turns = [chat_message(message) for message in PROBE]
        prompt = self._chat.render(turns[:1], (), generate=True)
        whole = self._chat.render(turns, (), generate=False)
        at = whole.rfind(PROBE[1].content)
        if at < 0:
            raise RowError(["the chat template leaves the assistant's turn out"])
        before = whole[len(prompt) : at] if whole.startswith(prompt) else ""
        return before, whole[at + len(PROBE[1].content) :]

    def _framed(self, whole: str, message: Message) -> str | None:
        """Return the reply as the template writes a plain one; None if ``whole`` does not end in it.

        For templates that write a prompt otherwise once it has been answered: Mistral's leave a system turn out,
        some reasoning models' leave out the ``<think>`` that the prompt ends with. What is served is the prompt.
        """
        before, after = self._frame
        for content in (message.content, message.content.strip()):
            if content and whole.endswith(content + after):
                return before + content + after
        return None

    def _add_prompt(self, split: Split, turns: Sequence[Mapping[str, Any]], tools: Tools, index: int) -> None:
        """Add what stands between the last reply and the turn at ``index``, which the assistant shall speak."""
        try:
            prompt = self._chat.render(turns[:index], tools, generate=True)
        except RowError:
            if index:
                raise
            prompt = _UNKNOWN  # many templates look at the first message; the reply tells where the prompt ends
        if not split.segments:
            _check_tools(prompt, tools, index)
            split.segments.append(Segment(prompt, True))
            return
        self._drop_closing(split, prompt)
        written = split.text
        if prompt.startswith(written):
            split.segments.append(Segment(prompt[len(written) :], False))
        else:
            split.restart(prompt)

    def _drop_closing(self, split: Split, prompt: str) -> None:
        """Take off a marker with which the template closes a text, but which is not there when it goes on."""
        written = split.text
        last = split.segments[-1]
        closing = next((m for m in self._markers if last.text.endswith(m)), "")
        if closing and not prompt.startswith(written) and prompt.startswith(written.removesuffix(closing)):
            split.segments[-1] = Segment(last.text.removesuffix(closing), last.start, last.turn)


def _check_tools(prompt: str, tools: Tools, index: int) -> None:
    names = [name for tool in tools if (name := _tool_name(tool)) and name not in prompt]
    if names and index:
        raise RowError(
            [
                f"the chat template does not show the tools to the model ({', '.join(names)}): choose one that does,"
                " e.g. chat_template: qwen"
            ]
        )


def _tool_name(tool: Mapping[str, Any]) -> str | None:
    function = tool.get("function", tool)
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else None


def _check_complete(reply: str, message: Message, index: int) -> None:
    """Refuse templates that leave out part of a reply: it would be trained as something else."""
    said = message.content.rsplit("</think>", 1)[-1].strip()
    if not message.tool_calls and said not in reply:
        raise RowError([f"the chat template leaves the reply of turn {index + 1} out: it begins {shorten(said)}"])
    missing = [call.name for call in message.tool_calls if call.name not in reply]
    if missing:
        raise RowError(
            [
                f"the chat template leaves the tool calls of turn {index + 1} out ({', '.join(missing)}): choose one"
                " that writes them, e.g. chat_template: qwen"
            ]
        )


def _not_a_prefix(prompt: str, whole: str, index: int) -> str:
    same = next(
        (n for n, (a, b) in enumerate(zip(prompt, whole, strict=False)) if a != b), min(len(prompt), len(whole))
    )
    return (
        f"the chat template begins the reply of turn {index + 1} otherwise than it asks for one: the prompt has"
        f" {shorten(prompt[same : same + 40])} where the row has {shorten(whole[same : same + 40])}; training would"
        " not be for the prompt that is served: give a template of your own as chat_template_jinja"
    )
