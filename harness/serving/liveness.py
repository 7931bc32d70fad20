"""Is the adapter really applied? An engine can load one "successfully" and serve the bare base."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import EngineError
from harness.protocols import Engine

_SAME = 1e-5
"""Root mean square difference of logprobs, in nats, at or below which two models count as the same model."""
_FOREIGN = 1.0
"""Root mean square distance, in nats, that no rounding explains (bfloat16 makes about 0.05)."""
_HALF_WAY = 0.5
_MAX_UNCERTAINTY = 0.25
"""Standard deviation of the place between base (0) and merged (1) beyond which half way says nothing."""


def check_applied(
    engine: Engine,
    canary: Sequence[Sequence[int]] | Sequence[int],
    base_logprobs: Sequence[Sequence[float]] | None = None,
    merged_logprobs: Sequence[Sequence[float]] | None = None,
) -> Mapping[str, Any]:
    """Score the ``canary`` (rows of token ids, or one row) and see that the adapter shows; return the figures.

    Served as LoRA, the engine answers for base and adapter, and the two must differ. Served merged, what is served
    is held against the reference logprobs of the base and of the merged model (each row's without its first token).

    Raises:
        EngineError: the adapter is not applied, or makes no difference that could be told from noise.
    """
    longest = getattr(engine, "max_model_len", 1_000_000) - 1
    rows = [row[:longest] for row in _rows(canary) if len(row) > 1]
    served = [engine.score(row) for row in rows]
    if not served:
        raise EngineError(
            "the canary has no row of at least two tokens, so nothing can show that the adapter is applied"
        )
    if base_logprobs is None or merged_logprobs is None:
        return _beside(engine, rows, served)
    references = (_cut(logprobs, longest) for logprobs in (base_logprobs, merged_logprobs))
    return _between(engine.name, _flat(served), *(_flat(reference) for reference in references))


def _beside(engine: Engine, rows: Sequence[Sequence[int]], served: Sequence[Sequence[float]]) -> Mapping[str, Any]:
    base = [engine.score(row, base=True) for row in rows]
    difference = _rms(_minus(_flat(served), _flat(base)))
    if not difference > _SAME:
        raise EngineError(
            f"the adapter is not applied: on {_count(served)} canary tokens the {engine.name} engine gives base and "
            f"adapter the same logprobs (difference {difference:.2g}).\n"
            "  To do: check that the adapter's target modules exist in this base; serve.adapter: merged avoids the "
            "engine's own loading."
        )
    return {"served": "lora", "tokens": _count(served), "difference": difference}


def _between(engine: str, served: list[float], base: list[float], merged: list[float]) -> Mapping[str, Any]:
    """Place the served logprobs on the line from base (0) to merged (1).

    The servers compute in another order than the reference did, so each logprob carries some rounding noise; the
    projection on the line averages it over all tokens, and holds for a weak adapter where single values would not.
    """
    step = _minus(merged, base)
    length = _norm(step)
    if not length / math.sqrt(len(step)) > _SAME:
        raise EngineError(
            f"the adapter makes no difference: on {len(step)} canary tokens base and merged model have the same "
            "logprobs, so nothing can show that it is applied.\n  To do: was it trained at all?"
        )
    place = sum(a * b for a, b in zip(_minus(served, base), step, strict=True)) / length**2
    noise = min(_rms(_minus(served, merged)), _rms(_minus(served, base)))
    uncertainty = noise / length
    figures = {
        "served": "merged",
        "tokens": len(step),
        "difference": _rms(step),
        "place": place,
        "noise": noise,
        "uncertainty": uncertainty,
    }
    if not noise <= _FOREIGN:
        raise EngineError(
            f"the {engine} engine serves another model: on {len(step)} canary tokens its logprobs are {noise:.2g} away "
            "from those of the base and of the merged model alike."
        )
    if not uncertainty <= _MAX_UNCERTAINTY:
        raise EngineError(
            f"cannot tell whether the adapter is applied: it changes {len(step)} canary tokens by {_rms(step):.2g},"
            f" less than the {engine} engine's own rounding ({noise:.2g}).\n"
            "  To do: train longer, or serve.dtype: float32."
        )
    if not place > _HALF_WAY:
        raise EngineError(
            f"the adapter is not applied: on {len(step)} canary tokens the {engine} engine's logprobs are the base's "
            f"(0 is the base, 1 the merged model, served is {place:.2f})."
        )
    return figures


def _rows(canary: Sequence[Sequence[int]] | Sequence[int]) -> list[Sequence[int]]:
    nested = [row for row in canary if not isinstance(row, int)]
    return nested or [[token for token in canary if isinstance(token, int)]]


def _cut(logprobs: Sequence[Sequence[float]], longest: int) -> list[Sequence[float]]:
    return [row[: longest - 1] for row in logprobs if row]


def _flat(rows: Sequence[Sequence[float]]) -> list[float]:
    return [value for row in rows for value in row]


def _minus(left: Sequence[float], right: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(left, right, strict=True)]


def _norm(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values))


def _rms(values: Sequence[float]) -> float:
    return _norm(values) / math.sqrt(len(values)) if values else 0.0


def _count(rows: Sequence[Sequence[float]]) -> int:
    return sum(len(row) for row in rows)
