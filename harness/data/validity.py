"""What a conversation must have before anything can be made of it."""

from __future__ import annotations

from harness.types import Sample


def check_sample(sample: Sample, *, for_training: bool) -> list[str]:
    """Return what is wrong with ``sample``: an empty list, if it can be trained on (or asked)."""
    if not sample.messages:
        return ["the row has no turns"]
    reasons = [reason for number, _ in enumerate(sample.messages, start=1) for reason in _check_turn(sample, number)]
    if for_training and not any(message.role == "assistant" for message in sample.messages):
        roles = ", ".join(dict.fromkeys(message.role for message in sample.messages))
        reasons.append(f"the row has no assistant turn, so there is nothing to learn (its roles: {roles})")
    return reasons


def _check_turn(sample: Sample, number: int) -> list[str]:
    message = sample.messages[number - 1]
    empty = message.role == "assistant" and not message.tool_calls and not message.content.strip()
    if empty and message.train is not False:
        return [f"turn {number}: the reply is empty"]
    return []
