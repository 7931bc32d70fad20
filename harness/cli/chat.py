"""``harness chat``: talk to an adapter, the base beside it if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from harness.cli.options import BaseModel, EngineName, HomePath, TargetName
from harness.cli.screen import console, error_console
from harness.errors import InputError
from harness.types import Decoding, Message

if TYPE_CHECKING:
    from harness.job.byhand import Opened

HELP = "/reset starts anew, /prompt shows the rendered prompt, /system TEXT sets the system turn, /quit ends."


class Conversation:
    """The turns so far, and how the next reply is shown."""

    def __init__(self, opened: Opened, out: Console, decoding: Decoding, *, compare: bool, show_prompt: bool) -> None:
        """``compare`` answers with the base too; the conversation goes on with the adapter's reply."""
        self._opened = opened
        self._out = out
        self._decoding = decoding
        self._compare = compare
        self._show_prompt = show_prompt
        self.messages: tuple[Message, ...] = ()

    def say(self, line: str) -> bool:
        """Take a line from the user; return whether to go on."""
        command, _, rest = line.partition(" ")
        if command == "/quit":
            return False
        if command == "/reset":
            self.messages = ()
        elif command == "/system":
            self.messages = (Message("system", rest),)
        elif command == "/prompt":
            self._print_prompt(self.messages)
        elif command.startswith("/"):
            self._out.print(HELP, markup=False)
        elif line.strip():
            self._answer(line)
        return True

    def take(self, line: str) -> bool:
        """Do as :meth:`say`, but let a turn that cannot be rendered end neither the conversation nor the command."""
        try:
            return self.say(line)
        except InputError as error:
            self._out.print(f"error: {error}", style="red", markup=False)
            return True

    def _answer(self, line: str) -> None:
        asked = (*self.messages, Message("user", line))
        if self._show_prompt:
            self._print_prompt(asked)
        if self._compare:
            self._stream("base", asked, base=True)
        text = self._stream(self._opened.label, asked, base=False)
        self.messages = (*asked, Message("assistant", text))

    def _stream(self, label: str, messages: Sequence[Message], *, base: bool) -> str:
        from harness.serving import chat_stream

        renderer = self._opened.renderer
        self._out.print(f"[{label}]", style="bold", markup=False)
        ids = renderer.prompt_ids(tuple(messages), ())
        engine = self._opened.engine
        if len(ids) >= engine.max_model_len:
            full = f"the conversation's {len(ids)} tokens leave no room for a reply ({engine.max_model_len} fit)"
            raise InputError(full, hint="/reset starts anew")
        other = self._opened.base_engine if base and self._opened.base_engine else None
        pieces = []
        for piece in chat_stream(other or engine, ids, renderer.stop_ids, self._decoding, base=base and other is None):
            pieces.append(piece)
            self._out.print(piece, end="", markup=False)
        self._out.print()
        return "".join(pieces)

    def _print_prompt(self, messages: Sequence[Message]) -> None:
        renderer = self._opened.renderer
        self._out.print(renderer.prompt_text(tuple(messages), ()), style="dim", markup=False)
        self._out.print(f"{len(renderer.prompt_ids(tuple(messages), ()))} tokens", style="dim")


def chat(
    target: TargetName,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Say this, print the reply, end.")] = None,
    system: Annotated[str | None, typer.Option(help="The system turn.")] = None,
    compare: Annotated[bool, typer.Option("--base", help="Show the base's reply beside the adapter's.")] = False,
    show_prompt: Annotated[bool, typer.Option("--show-prompt", help="Show the rendered prompt of every turn.")] = False,
    max_tokens: Annotated[int, typer.Option(min=1)] = 256,
    temperature: Annotated[float, typer.Option(min=0.0, help="0: greedy.")] = 0.0,
    base_model: BaseModel = None,
    engine: EngineName = "auto",
    home: HomePath = None,
    reports: Annotated[Path, typer.Option(help="Where the reports of runs lie.")] = Path("reports"),
) -> None:
    """Talk to an adapter or a run's model: the sanity check before the suites. Replies stream.

    `harness chat outputs/triage --base` shows what the base would have said beside each reply.
    """
    from harness.job.byhand import open_target
    from harness.reporting.progress import progress_printer
    from harness.store import Home

    out = console()
    with progress_printer(error_console()) as on_event:
        opened = open_target(target, base_model, engine, Home.find(home), reports, on_event, with_base=compare)
        opened.start(on_event)
    try:
        decoding = Decoding(max_tokens=max_tokens, temperature=temperature)
        talk = Conversation(opened, out, decoding, compare=compare, show_prompt=show_prompt)
        if system is not None:
            talk.say(f"/system {system}")
        if message is not None:
            talk.say(message)
            return
        out.print(HELP, markup=False, style="dim")
        while True:
            try:
                line = out.input("> ", markup=False)
            except EOFError:
                return
            if not talk.take(line):
                return
    finally:
        opened.close()
