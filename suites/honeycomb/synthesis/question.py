"""Joins the worded parts of a plan to one sentence, in one of several orders, with a person's untidiness."""

from __future__ import annotations

import re
from random import Random

from suites.honeycomb.synthesis.phrasing import Wording, wordings
from suites.honeycomb.synthesis.plan import Plan

QUESTIONS = ("how many", "what is", "what are", "can you")


def ask(plan: Plan, rng: Random) -> str:
    """Return a question that asks for exactly ``plan``."""
    wording = Wording(plan, rng)
    ranked = bool(plan.orders) and plan.limit is not None
    said = _top_first(wording) if ranked and rng.random() < 0.7 else _in_some_order(wording)
    return _untidy(" ".join(part for part in said if part), rng)


def _top_first(wording: Wording) -> list[str]:
    return [wording.say("top_leads"), wording.top(), wording.filters(), wording.window()]


def _in_some_order(wording: Wording) -> list[str]:
    rng = wording.rng
    if _says_only_groups(wording.plan) and rng.random() < 0.25:
        return [wording.groups(alone=True), wording.window()]
    head, filters, groups, window = _head(wording), wording.filters(), wording.groups(), wording.window()
    rest = [wording.havings(), wording.orders(), wording.granularity()]
    draw = rng.random()
    if window and draw < 0.12:
        return [f"{window},", head, filters, groups, *rest]
    if groups.startswith("for each") and draw < 0.5:
        return [f"{groups},", head, filters, *rest, window]
    if groups and draw < 0.6:
        return [head, groups, filters, *rest, window]
    return [head, filters, groups, *rest, window]


def _head(wording: Wording) -> str:
    """Return the calculations, with or without a leading verb; a bare noun counts."""
    plan, rng = wording.plan, wording.rng
    if _only_counts(plan) and (plan.filters or plan.breakdowns) and rng.random() < 0.25:
        return f"{wording.say('bare_leads')} {wording.noun}".strip()
    several = len(plan.calculations) > 1
    said = [wording.calculation(pair, short=several) for pair in plan.calculations]
    head = said[0] if not several else f"{', '.join(said[:-1])} and {said[-1]}"
    if head.startswith(("how many", f"count {wording.noun}")) or rng.random() < 0.5:
        return head
    return f"{wording.say('leads')} {head}"


def _only_counts(plan: Plan) -> bool:
    return [op for op, _ in plan.calculations] == ["COUNT"]


def _says_only_groups(plan: Plan) -> bool:
    extras = plan.filters or plan.havings or plan.orders or plan.granularity
    return _only_counts(plan) and bool(plan.breakdowns) and not extras


def _untidy(text: str, rng: Random) -> str:
    """Return ``text`` as someone might type it: capitals, end marks, now and then a slip or a please."""
    slips = [word for word in wordings()["typos"] if re.search(_as_word(word), text)]
    if slips and rng.random() < 0.08:
        word = rng.choice(slips)
        text = re.sub(_as_word(word), wordings()["typos"][word], text, count=1)
    first = text.split(" ", 1)[0]
    if first.isalpha() and rng.random() < 0.4:
        text = text[0].upper() + text[1:]
    if text.lower().startswith(QUESTIONS) and rng.random() < 0.6:
        return text + "?"
    return text + rng.choices(("", ".", ", please", " please"), (90, 5, 2, 3))[0]


def _as_word(word: str) -> str:
    """Return a pattern for ``word`` by itself, not as a part of a column's name."""
    return rf"(?<![\w.-]){word}(?![\w.-])"
