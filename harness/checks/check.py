"""The result of a level-1 check: truthy, and able to say why it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

SHOWN = 236
"""Characters of a repr that pytest shows in full (it cuts the middle out of one above 240)."""


@dataclass(frozen=True, repr=False)
class Check:
    """What one check found out about one reply.

    True in a condition when it passed. ``assert is_json(generation)`` shows the repr, which is the
    name and the reason on one line, short enough that pytest does not cut it; :attr:`reason` has
    the whole text. ``a and b`` reports the first that fails, ``a & b`` all of them.
    """

    name: str
    passed: bool
    reason: str = ""
    """Why it failed, the first and most useful finding first; empty or a remark when it passed."""

    @classmethod
    def of(cls, name: str, problems: tuple[str, ...] | list[str]) -> Self:
        """Return a check that passes when there are no ``problems`` and lists them otherwise."""
        if len(problems) < 2:
            return cls(name, not problems, "".join(problems))
        return cls(name, False, f"{len(problems)} problems:\n" + "\n".join(problems))

    def __bool__(self) -> bool:
        return self.passed

    def __and__(self, other: Check) -> Check:
        """Join two checks into one that reports whatever of them failed."""
        failed = [check for check in (self, other) if not check.passed]
        reason = "\n".join(f"{check.name}: {check.reason}" for check in failed)
        if len(failed) == 1:
            return failed[0]
        return Check(f"{self.name} & {other.name}", not failed, reason)

    def __repr__(self) -> str:
        state = "ok" if self.passed else "failed"
        line = " · ".join(part.strip() for part in self.reason.splitlines() if part.strip()).replace(": · ", ": ")
        text = f"<{self.name} {state}: {line}>" if line else f"<{self.name} {state}>"
        return text if len(text) <= SHOWN else text[: SHOWN - 2] + "…>"
