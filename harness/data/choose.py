"""Which chat template a config means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.samples import Loaded
from harness.errors import Problem, TemplateError

if TYPE_CHECKING:
    from harness.config import RunConfig


def choose_template(config: RunConfig, loaded: Loaded | None = None) -> str | None:
    """Return the template's name or text, or None for the base model's own.

    In this order: ``chat_template`` (``jinja``: the text of ``chat_template_jinja``), what the data sets name as
    their ``conversation``, what the format of the rows calls for (``alpaca`` for alpaca rows, ``completion`` for
    prompt and completion), the base model's own.

    Raises:
        TemplateError: the data sets name different ones, or their rows call for different ones.
    """
    if config.chat_template == "jinja" or (config.chat_template is None and config.chat_template_jinja):
        if not config.chat_template_jinja:
            raise TemplateError("chat_template is 'jinja', but chat_template_jinja is not given")
        return config.chat_template_jinja
    if config.chat_template is not None:
        return _own(config.chat_template)
    named = {dataset.template: dataset.path for dataset in config.datasets if dataset.template}
    if len(named) > 1:
        raise TemplateError(
            "the data sets name different chat templates, but a model is trained and served with one:",
            [Problem(f"{path}: {template}") for template, path in named.items()],
            "Name the one for all of them: `chat_template: …`.",
        )
    if named:
        return _own(next(iter(named)))
    natural = loaded.natural_templates if loaded else frozenset()
    if len(natural) > 1:
        kinds = ", ".join(sorted(name or "the model's own chat template" for name in natural))
        raise TemplateError(
            f"the rows are in formats that call for different templates ({kinds}).",
            hint="Name the one for all of them: `chat_template: chatml` (or alpaca, tokenizer_default, …).",
        )
    return next(iter(natural), None)


def _own(name: str) -> str | None:
    return None if name == "tokenizer_default" else name
