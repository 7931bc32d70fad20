"""Grammars: checked when a suite is collected, and put in the words of each engine.

Every engine of ours enforces them with llguidance (vLLM's ``guidance`` backend; outlines' llguidance
processor on the transformers engine), so one check, which needs no torch and no model, speaks for all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from harness.errors import GrammarError, Problem
from harness.types import Grammar

ENDPOINT = "endpoint"
SEPARATORS = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
"""Compact JSON, or JSON as Python writes it. Free whitespace lets a small model write blanks until its tokens end; a
schema that has its own ``x-guidance`` keeps it."""
_UNIMPLEMENTED = re.compile(r"Unimplemented keys: (\[.*\])")


def check_grammar(grammar: Grammar, engine_name: str) -> None:
    """Check that ``grammar`` is well formed and that the engine can enforce all of it.

    Raises:
        GrammarError: names every unsupported keyword and its place in the schema.
    """
    problems = _CHECKS[grammar.kind](grammar.text)
    if problems and engine_name == ENDPOINT and grammar.kind == "json":
        # somebody else's backend may support more than llguidance does: only a broken schema is certain
        problems = [problem for problem in problems if not problem.unsupported]
    if problems:
        raise GrammarError(
            f"the {_TITLES[grammar.kind]} cannot be enforced by the {engine_name} engine:",
            [Problem(problem.text) for problem in problems],
            _HINTS[grammar.kind],
        )


def structured_outputs(grammar: Grammar) -> dict[str, Any]:
    """Return vLLM's ``structured_outputs`` request field (our transformers server reads the same)."""
    if grammar.kind == "json":
        schema = json.loads(grammar.text)
        return {"json": {"x-guidance": SEPARATORS, **schema} if isinstance(schema, dict) else schema}
    if grammar.kind == "choice":
        return {"choice": json.loads(grammar.text)}
    return {"grammar" if grammar.kind == "lark" else grammar.kind: grammar.text}


def endpoint_fields(grammar: Grammar) -> dict[str, Any]:
    """Return the chat-completions fields: ``response_format`` for a schema, vLLM's extension for the rest."""
    if grammar.kind == "json":
        schema = {"name": "reply", "schema": json.loads(grammar.text), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {"structured_outputs": structured_outputs(grammar)}


class _Found:
    """One thing that is wrong, and whether it is only llguidance that cannot do it."""

    def __init__(self, text: str, *, unsupported: bool = False) -> None:
        self.text = text
        self.unsupported = unsupported


def _check_json(text: str) -> list[_Found]:
    try:
        schema = json.loads(text)
    except ValueError as error:
        return [_Found(f"the JSON schema is not JSON: {error}")]
    if not isinstance(schema, dict | bool):
        return [_Found(f"a JSON schema is an object, not {json.dumps(schema)[:60]}")]
    return _meta_schema_errors(schema) or _unsupported(schema)


def _meta_schema_errors(schema: Any) -> list[_Found]:
    import jsonschema

    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    errors = validator(validator.META_SCHEMA).iter_errors(schema)
    return [
        _Found(f"{_pointer(error.absolute_path)}: {error.message}")
        for error in sorted(errors, key=lambda error: list(map(str, error.absolute_path)))
    ]


def _unsupported(schema: Any) -> list[_Found]:
    """Ask llguidance; it names the keywords of the first object it stumbles over, so ask again without them."""
    found: list[_Found] = []
    remaining = schema
    while True:
        message = _llguidance_error("json", json.dumps(remaining))
        if message is None:
            return found
        named = _UNIMPLEMENTED.search(message)
        if not named:
            return [*found, _Found(message, unsupported=True)]
        keywords = json.loads(named.group(1))
        places = [(path, keyword) for path, keyword in _keywords(remaining) if keyword in keywords]
        if not places:
            return [*found, _Found(message, unsupported=True)]
        found += [_Found(f'{path}: keyword "{keyword}" is not supported', unsupported=True) for path, keyword in places]
        remaining = _without(remaining, set(keywords))


_MAPS = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
_DATA = {"const", "enum", "default", "examples", "required", "dependentRequired"}


def _keywords(schema: Any, path: str = "#") -> Iterator[tuple[str, str]]:
    """Yield (pointer of the subschema, keyword); names of properties are not keywords."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _keywords(item, f"{path}/{index}")
    elif isinstance(schema, dict):
        for key, value in schema.items():
            yield path, key
            if key in _MAPS and isinstance(value, dict):
                for name, subschema in value.items():
                    yield from _keywords(subschema, f"{path}/{key}/{name}")
            elif key not in _DATA:
                yield from _keywords(value, f"{path}/{key}")


def _without(schema: Any, keywords: set[str]) -> Any:
    """Return ``schema`` without these keywords at any depth."""
    if isinstance(schema, list):
        return [_without(item, keywords) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in keywords:
            continue
        if key in _MAPS and isinstance(value, dict):
            kept[key] = {name: _without(subschema, keywords) for name, subschema in value.items()}
        else:
            kept[key] = value if key in _DATA else _without(value, keywords)
    return kept


def _check_regex(text: str) -> list[_Found]:
    message = _llguidance_error("regex", text)
    return [_Found(message, unsupported=True)] if message else []


def _check_lark(text: str) -> list[_Found]:
    if not text.strip():
        return [_Found("the grammar is empty")]
    message = _llguidance_error("grammar", text)
    return [_Found(message, unsupported=True)] if message else []


def _check_choice(text: str) -> list[_Found]:
    try:
        choices = json.loads(text)
    except ValueError as error:
        return [_Found(f"choices are a JSON list of strings: {error}")]
    if not isinstance(choices, list) or not choices:
        return [_Found("choices are a list with at least one string")]
    return [
        _Found(f"choice {index}: {json.dumps(choice)[:60]} is not a string with at least one character")
        for index, choice in enumerate(choices)
        if not isinstance(choice, str) or not choice
    ]


def _llguidance_error(kind: Literal["json", "regex", "grammar"], text: str) -> str | None:
    """Return what llguidance has against the grammar, in one line, or None."""
    from llguidance import LLMatcher, grammar_from

    try:
        failed, messages = LLMatcher.validate_grammar_with_warnings(grammar_from(kind, text))
    except ValueError as error:
        failed, messages = True, [str(error)]
    return "\n    ".join(line for line in "; ".join(messages).splitlines() if line.strip()) if failed else None


def _pointer(path: Any) -> str:
    return "/".join(["#", *(str(part) for part in path)])


_CHECKS = {"json": _check_json, "regex": _check_regex, "choice": _check_choice, "lark": _check_lark}
_TITLES: Mapping[str, str] = {
    "json": "JSON schema",
    "regex": "regular expression",
    "choice": "list of choices",
    "lark": "Lark grammar",
}
_HINTS: Mapping[str, str] = {
    "json": "Leave it out of the grammar and assert it on the reply: a check can validate with the whole schema.",
    "regex": "Rust's regex syntax is allowed: no look-around, no back-references, no \\b.",
    "choice": "",
    "lark": 'llguidance\'s Lark dialect is allowed; it begins with a rule named "start".',
}
