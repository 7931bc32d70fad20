"""What the tests say of the replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from harness.types.replies import Case, Generation

Outcome = Literal["pass", "fail", "unscored", "error"]
"""``unscored`` and ``error`` are not ``fail``: a dead server is not a wrong model."""


@dataclass(frozen=True)
class Verdict:
    """What one test said about one case in one run."""

    run: str
    nodeid: str
    test: str
    case_id: str
    suite: str
    outcome: Outcome
    generation_key: str | None = None
    marks: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    cluster: str | None = None
    repeat: int = 0
    score: float | None = None
    reason: str = ""
    seconds: float = 0.0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        return cls(**{**data, "marks": tuple(data.get("marks") or ())})


@dataclass(frozen=True)
class Failure:
    """Everything needed to replay one failing test without the run it came from."""

    verdict: Verdict
    case: Case
    generation: Generation | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :func:`to_json` wrote."""
        generation = data.get("generation")
        return cls(
            verdict=Verdict.from_json(data["verdict"]),
            case=Case.from_json(data["case"]),
            generation=Generation.from_json(generation) if generation else None,
        )
