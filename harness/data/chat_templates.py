"""Which chat template: by name, as text, or the one that lies with the tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from harness.data.problems import nearest
from harness.errors import TemplateError

TOKENIZER_DEFAULT = "tokenizer_default"
_FALLBACK = "tokenizer_default_fallback_"
WAY_OUT = "Name one in the config, e.g. `chat_template: chatml`; there are {names}, or give the text of one's own."


@dataclass(frozen=True)
class ChatTemplate:
    """A template, or several by name of which ``tool_use`` serves conversations that offer tools."""

    name: str
    texts: Mapping[str, str]

    def text_for(self, tools: Sequence[Any]) -> str:
        """Return the template text for a conversation, chosen as ``transformers`` chooses it."""
        if tools and "tool_use" in self.texts:
            return self.texts["tool_use"]
        return self.texts["default"]

    @property
    def text(self) -> str:
        """The whole as one text that :func:`find_template` reads back: the template itself, or JSON of several."""
        if set(self.texts) == {"default"}:
            return self.texts["default"]
        return json.dumps(dict(self.texts), sort_keys=True, ensure_ascii=False)


@cache
def template_names() -> tuple[str, ...]:
    """Return the names of the templates that come with the harness."""
    folder = resources.files("harness.data") / "templates"
    return tuple(
        sorted(entry.name.removesuffix(".jinja") for entry in folder.iterdir() if entry.name.endswith(".jinja"))
    )


def named_template(name: str) -> ChatTemplate:
    """Return the template of ours that is called ``name``.

    Raises:
        TemplateError: there is none; the nearest name and all others are shown.
    """
    from harness.config import OTHER_TEMPLATE_NAMES

    known = OTHER_TEMPLATE_NAMES.get(name, name)
    if known not in template_names():
        near = nearest(name, [*template_names(), *OTHER_TEMPLATE_NAMES])
        raise TemplateError(f"there is no chat template called {name!r}{near}", hint=_way_out())
    text = (resources.files("harness.data") / "templates" / f"{known}.jinja").read_text("utf-8")
    return ChatTemplate(known, {"default": text})


def find_template(folder: Path, wanted: str | None) -> ChatTemplate:
    """Return the template to use with the tokenizer in ``folder``.

    Args:
        folder: the tokenizer's folder.
        wanted: a name, a template's text, or None for the folder's own.

    Raises:
        TemplateError: the name is not known, or the folder has none of its own.
    """
    if wanted is None or wanted == TOKENIZER_DEFAULT:
        return _required(folder)
    if wanted.startswith(_FALLBACK):
        return folder_template(folder) or named_template(wanted.removeprefix(_FALLBACK))
    if is_template_text(wanted):
        return ChatTemplate("jinja", _read_text(wanted))
    return named_template(wanted)


def is_template_text(wanted: str) -> bool:
    """Whether ``wanted`` is the text of a template and not the name of one."""
    return any(mark in wanted for mark in ("{{", "{%", "\n"))


def _read_text(text: str) -> dict[str, str]:
    if text.startswith('{"'):
        try:
            several = json.loads(text)
        except ValueError:
            return {"default": text}
        if isinstance(several, dict) and "default" in several:
            return several
    return {"default": text}


def _required(folder: Path) -> ChatTemplate:
    found = folder_template(folder)
    if found is None:
        raise TemplateError(f"the base model in {folder} has no chat template of its own.", hint=_way_out())
    if "default" not in found.texts:
        names = ", ".join(sorted(found.texts))
        raise TemplateError(
            f"the base model in {folder} has several chat templates ({names}) and none is the default.",
            hint="Give the text of the one you want as `chat_template_jinja`.",
        )
    return found


def folder_template(folder: Path) -> ChatTemplate | None:
    """Return the template that lies with the tokenizer, or None.

    Looked for, as ``transformers`` does: ``chat_template.jinja`` and ``additional_chat_templates/*.jinja``, and
    ``chat_template`` of ``tokenizer_config.json`` (a text, or a list of named ones).
    """
    own = folder / "chat_template.jinja"
    texts = {"default": _read_file(own)} if own.is_file() else {}
    for extra in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        texts[extra.stem] = _read_file(extra)
    if not texts:
        texts = _configured(folder / "tokenizer_config.json")
    return ChatTemplate(TOKENIZER_DEFAULT, texts) if texts else None


def _configured(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    try:
        value = json.loads(_read_file(file)).get("chat_template")
    except (ValueError, AttributeError) as error:
        raise TemplateError(f"{file} is not JSON: {error}") from error
    if isinstance(value, str):
        return {"default": value}
    if isinstance(value, list):
        return {entry["name"]: entry["template"] for entry in value}
    return dict(value) if isinstance(value, dict) else {}


def _read_file(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{file} cannot be read: {error}") from error


def _way_out() -> str:
    return WAY_OUT.format(names=", ".join(template_names()))
