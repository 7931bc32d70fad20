"""From messages to text: one template, with the model's special tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.data.chat_templates import ChatTemplate
from harness.data.problems import RowError
from harness.errors import Problem, TemplateError
from harness.types import Message


def chat_message(message: Message) -> dict[str, Any]:
    """Return ``message`` as chat templates expect one; fields that it does not have are left out."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [
            {
                **({"id": call.id} if call.id else {}),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.name:
        turn["name"] = message.name
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    return turn


class ChatText:
    """Renders conversations with one template."""

    def __init__(self, template: ChatTemplate, special_tokens: Mapping[str, str], turn_eos: str = "") -> None:
        """Keep the template and what it may name.

        Args:
            template: the template.
            special_tokens: ``bos_token``, ``eos_token`` and so on.
            turn_eos: what templates of ours end a reply with when their own end marker is no token of the model.
        """
        self._template = template
        self._variables = {**special_tokens, "turn_eos": turn_eos}

    def render(self, turns: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], *, generate: bool) -> str:
        """Return the text of ``turns`` (see :func:`chat_message`), as ``apply_chat_template`` would.

        Raises:
            RowError: the template refuses this conversation.
            TemplateError: the template is not jinja.
        """
        import jinja2

        from harness.data.jinja_env import compile_template, render

        text = self._template.text_for(tools)
        variables = {
            **self._variables,
            "messages": list(turns),
            "tools": [dict(tool) for tool in tools] or None,
            "documents": None,
            "add_generation_prompt": generate,
        }
        try:
            return render(compile_template(text), variables)
        except jinja2.TemplateSyntaxError as error:
            line = (text.splitlines() or [""])[(error.lineno or 1) - 1]
            raise TemplateError(
                f"the chat template ({self._template.name}) does not parse:",
                [Problem(f"line {error.lineno}: {error.message}: {line.strip()[:120]}")],
            ) from error
        except Exception as error:  # a template may raise whatever Python raises
            kind = "" if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: "
            raise RowError(
                [f"the chat template ({self._template.name}) refused the conversation: {kind}{error}"]
            ) from error
