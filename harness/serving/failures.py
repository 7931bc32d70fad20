"""Why a server died, read from its own last lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.errors import EngineError

_FITS = "lower serve.max_model_len, serve.max_concurrency or serve.kv_cache_gib, or use a smaller base"
_CAUSES: tuple[tuple[str, str, str], ...] = (
    # pattern, what it means, what to do
    (
        r"Address already in use|Errno 98|EADDRINUSE",
        "its address is taken by another process",
        "try again, or another port",
    ),
    (
        r"larger than the (?:available KV cache|maximum number of tokens)|[Nn]o available memory for the cache blocks"
        r"|is less than (?:desired|requested)|[Ff]ree memory on device|KV cache is needed",
        "the model does not fit",
        _FITS,
    ),
    (
        r"out of memory|OutOfMemoryError|MemoryError|Cannot allocate memory|can't allocate memory|std::bad_alloc",
        "out of memory",
        _FITS,
    ),
    (
        r"greater than the derived max_model_len",
        "serve.max_model_len is more than the model can",
        "lower serve.max_model_len",
    ),
    (
        r"(?:ModuleNotFoundError|ImportError).*",
        "a Python package is missing or broken in this environment",
        "install the extra again: pip install 'ft-harness[cpu]' (or [gpu])",
    ),
    (
        r"[Hh]ead size .* not supported|are not supported for now|no CPU kernel|not implemented for",
        "this engine does not support the model",
        "serve.engine: transformers can serve it",
    ),
    (
        r"unrecognized arguments.*|invalid choice.*",
        "this version does not know one of its options",
        "check the installed version",
    ),
    (
        r"(?:No such file or directory|does not appear to have|is not a valid model|Can't load|Repo id must).*",
        "a file is missing",
        "",
    ),
)
_PREFIX = re.compile(r"^\([\w ]*pid=\d+\)\s*(?:(?:ERROR|INFO|WARNING|DEBUG)\s[\d-]+\s[\d:.]+\s)?(?:\[[^\]]*\]\s?)?")


def plain(line: str) -> str:
    """Return a log line without the process, time and place in front of it."""
    return _PREFIX.sub("", line)


def engine_died(engine: str, when: str, lines: Sequence[str], code: int | None) -> EngineError:
    """Make the error for a child that ended: the cause where its lines tell it, and its last lines."""
    lines = [plain(line) for line in lines]
    cause, advice, evidence = _cause(lines, code)
    parts = [f"the {engine} engine ended {when}" + (f" (exit code {code})" if code is not None else "")]
    if cause:
        parts.append(f": {cause}")
    message = "".join(parts)
    if evidence:
        message += f"\n  {evidence}"
    if advice:
        message += f"\n  To do: {advice}."
    return EngineError(message, [line for line in lines if line.strip()][-20:], code)


def _cause(lines: Sequence[str], code: int | None) -> tuple[str, str, str]:
    for pattern, meaning, advice in _CAUSES:
        for line in lines:
            if re.search(pattern, line):
                return meaning, advice, line.strip()[:300]
    if code == 137:
        return "killed by signal 9, as the kernel does when memory runs out", _FITS, ""
    return "", "", ""
