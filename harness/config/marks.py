"""Reads YAML and remembers the line of every key."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ConfigError, Problem

KeyPath = tuple[str | int, ...]
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_FLOAT = "tag:yaml.org,2002:float"
_MERGE = "tag:yaml.org,2002:merge"
_MOST_NODES = 100_000
_MOST_BYTES = 8 * 2**20
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class _Loader(yaml.SafeLoader):
    """YAML 1.1 without its surprises: ``1e-4`` is a number, and a date is text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _FLOAT, re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


@dataclass(frozen=True)
class Document:
    """The content of a YAML file, and the 1-based line of every key and list item in it.

    A key that stands there twice has its first value and is one of the ``problems``; so is a key that is not text,
    which is left out.
    """

    values: dict[str, Any]
    lines: Mapping[KeyPath, int]
    problems: tuple[Problem, ...] = ()


def read_document(path: Path) -> Document:
    """Read the YAML mapping in ``path``.

    Raises:
        ConfigError: the file is missing, not UTF-8, empty, not YAML, or not a mapping.
    """
    return parse_document(_read_text(path), str(path))


def parse_document(text: str, file: str) -> Document:
    """Read the YAML mapping in ``text``; ``file`` is the name for messages.

    Raises:
        ConfigError: see :func:`read_document`.
    """
    values, node, repeated = _parse(text, file)
    if values is None:
        raise _error(file, None, "the file is empty; it needs at least base_model, datasets and adapter")
    if not isinstance(values, dict) or node is None:
        raise _error(file, 1, f"the file must hold keys and values, as `base_model: …`, not a {_kind(values)}")
    not_text = [
        Problem(f"the key {key!r} is not text; put quotes around it", file, _line(at))
        for key, at in zip(values, (pair[0] for pair in node.value), strict=False)
        if not isinstance(key, str)
    ]
    named = {key: value for key, value in values.items() if isinstance(key, str)}
    return Document(named, dict(_lines(node, ())), (*repeated, *not_text))


def parse_value(text: str) -> Any:
    """Read ``text`` as one YAML value.

    Raises:
        ConfigError: it is not YAML, or it repeats keys.
    """
    value, _, repeated = _parse(text, "value")
    if repeated:
        raise ConfigError("the value cannot be read:", repeated)
    return value


def _read_text(path: Path) -> str:
    file = str(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{file} is a folder; give the YAML file in it") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{file} has {len(data):,} bytes; that is a data set and not a configuration")
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            raise _error(file, 1, f"the file is {encoding}; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _error(file, line, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8") from None


def _parse(text: str, file: str) -> tuple[Any, yaml.Node | None, list[Problem]]:
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, None, []
            repeated = _drop_repeated(node, file)
            return loader.construct_document(node), node, repeated
        finally:
            loader.dispose()
    except RecursionError:
        raise _error(file, None, "lists or mappings are nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise _error(file, mark.line + 1 if mark else None, f"this is not YAML: {said}{_advice(said)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _error(file, line, f"the character {chr(error.character)!r} is not allowed in YAML") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _error(file, None, f"this is not YAML: {error}") from None


def _advice(said: str) -> str:
    if r"'\t'" in said:
        return "; indent with spaces, not tabs"
    if "flow" in said or "cannot start any token" in said:
        return "; put quotes around a text that starts with a bracket or another special character"
    if "mapping values are not allowed" in said:
        return "; put quotes around a text that has a colon and a space in it"
    return ""


def _error(file: str, line: int | None, message: str) -> ConfigError:
    return ConfigError(f"{file} cannot be read:", [Problem(message, file, line)])


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list) else "single value"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once, aliases included once."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting.extend(part for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def _drop_repeated(root: yaml.Node, file: str) -> list[Problem]:
    """Take every key but the first of its name out of its mapping; return a problem for each such name."""
    problems = []
    for node in _nodes(root):
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[str, list[int]] = {}
        kept = []
        for pair in node.value:
            places = lines.setdefault(pair[0].value, []) if isinstance(pair[0], yaml.ScalarNode) else []
            places.append(_line(pair[0]))
            if len(places) == 1:
                kept.append(pair)
        node.value = kept
        problems += [_repeated(name, places, file) for name, places in lines.items() if len(places) > 1]
    return problems


def _repeated(name: str, lines: list[int], file: str) -> Problem:
    shown = ", ".join(map(str, lines[:-1])) + f" and {lines[-1]}"
    return Problem(f"the key {name!r} stands there more than once: lines {shown}", file, lines[1])


def _lines(root: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    waiting: list[tuple[yaml.Node, KeyPath]] = [(root, path)]
    for _ in range(_MOST_NODES):
        if not waiting:
            return
        node, at = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*at, key.value)
                yield here, _line(key)
                waiting.append((value, here))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                yield (*at, index), _line(item)
                waiting.append((item, (*at, index)))
