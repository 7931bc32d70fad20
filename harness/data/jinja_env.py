"""The jinja environment of chat templates: that of ``transformers``, in a sandbox with limits.

Same tags (``generation``, loop controls), filters (``tojson`` without HTML escapes) and functions
(``raise_exception``, ``strftime_now``), so that a template renders to the same bytes; what is
added refuses templates that would take memory or time without end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_RENDERED_CHARS = 2**27
"""Longest text a template may make (and longest that ``*`` may make of a text within it)."""

MAX_POWER_BITS = 10_000


class GenerationTag(jinja2.ext.Extension):
    """``{% generation %}…{% endgeneration %}``: marks what the assistant wrote; renders as what is inside."""

    tags = {"generation"}  # noqa: RUF012  # jinja's own declaration

    def parse(self, parser: Parser) -> jinja2.nodes.Node:
        """Parse the block into a call that returns its body as it is."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Callable[[], str]) -> str:
        return caller()


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox, which also stops ``'a' * 10**10``."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute ``left operator right`` unless the result would be huge."""
        powers = operator == "**" and isinstance(left, int) and isinstance(right, int)
        if powers and left.bit_length() * abs(right) > MAX_POWER_BITS:
            raise jinja2.exceptions.SecurityError(f"a power of more than {MAX_POWER_BITS:,} bits is refused")
        if operator == "*":
            for sequence, times in ((left, right), (right, left)):
                repeats = isinstance(sequence, str | list | tuple) and isinstance(times, int)
                if repeats and len(sequence) * times > MAX_RENDERED_CHARS:
                    raise jinja2.exceptions.SecurityError(f"repeating a value {times:,} times is refused")
        return super().call_binop(context, operator, left, right)


def raise_exception(message: str) -> None:
    """Refuse the conversation: how templates say what they cannot render."""
    raise jinja2.exceptions.TemplateError(message)


def tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """Return ``value`` as JSON, without the HTML escapes of jinja's own filter."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@lru_cache(maxsize=64)
def compile_template(text: str) -> jinja2.Template:
    """Return the compiled template.

    Raises:
        jinja2.TemplateSyntaxError: it does not parse.
    """
    environment = ChatEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(text)


def render(template: jinja2.Template, variables: Mapping[str, Any]) -> str:
    """Return the rendered text.

    Raises:
        jinja2.TemplateError: the template refused its input, left the sandbox or its limits.
    """
    pieces: list[str] = []
    size = 0
    for piece in template.generate(variables):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_RENDERED_CHARS:
            raise jinja2.exceptions.SecurityError(f"the text is longer than {MAX_RENDERED_CHARS:,} characters")
    return "".join(pieces)
