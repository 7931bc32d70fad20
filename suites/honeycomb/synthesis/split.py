"""Which questions train and which evaluate: apart by skeleton, with no question and no query in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from suites.honeycomb.synthesis.domains import Domain
from suites.honeycomb.synthesis.intents import INTENTS
from suites.honeycomb.synthesis.rows import Item, draw

POOL = 6
"""Questions drawn for each that is kept."""

COMMON_SKELETONS = 16
"""The most frequent skeletons are always trained: nobody evaluates on a `count by` never seen."""

HELD_OUT = 0.45
"""Share of the other skeletons that are kept from training."""

UNSEEN = 0.42
"""Share of the eval rows whose skeleton was kept from training."""

LEAST_TRAINED, LEAST_EVALUATED = 4, 2
"""Rows of each side that use each operator, at least, where there are that many."""


@dataclass(frozen=True)
class Split:
    """The two sides; ``seen`` are the skeletons of the training side."""

    train: tuple[Item, ...]
    evaluation: tuple[Item, ...]

    @property
    def seen(self) -> frozenset[str]:
        return frozenset(item.skeleton for item in self.train)


def make_split(domains: tuple[Domain, ...], train: int, evaluation: int, rng: Random) -> Split:
    """Draw questions of every intent and split them, each side with the same shares of intents."""
    train_shares, eval_shares = _shares(train), _shares(evaluation)
    drawn: set[str] = set()
    pools = {
        intent: list(islice(draw(intent, domains, rng, drawn), POOL * (train_shares[intent] + eval_shares[intent])))
        for intent in INTENTS
    }
    held_out = _held_out([item for pool in pools.values() for item in pool], rng)
    allowed = {intent: [item for item in pool if item.skeleton not in held_out] for intent, pool in pools.items()}
    trained = [item for intent in INTENTS for item in allowed[intent][: train_shares[intent]]]
    _cover(trained, [item for intent in INTENTS for item in allowed[intent][train_shares[intent] :]], LEAST_TRAINED)
    taken, fit = {item.asked for item in trained}, held_out | {item.skeleton for item in trained}
    free = {
        intent: [item for item in pool if item.asked not in taken and item.skeleton in fit]
        for intent, pool in pools.items()
    }
    evaluated, spare = _evaluation(free, held_out, eval_shares)
    short = evaluation - len(evaluated)
    evaluated += spare[:short]
    _cover(evaluated, spare[short:], LEAST_EVALUATED)
    rng.shuffle(trained)
    rng.shuffle(evaluated)
    return Split(tuple(trained), tuple(evaluated))


def _evaluation(
    free: Mapping[str, Sequence[Item]], held_out: set[str], shares: Mapping[str, int]
) -> tuple[list[Item], list[Item]]:
    """Return each intent's share, of which :data:`UNSEEN` with skeletons kept from training, and what is left."""
    chosen: list[Item] = []
    left: list[Item] = []
    for intent, items in free.items():
        unseen = [item for item in items if item.skeleton in held_out]
        known = [item for item in items if item.skeleton not in held_out]
        apart = round(shares[intent] * UNSEEN)
        ordered = [*unseen[:apart], *known, *unseen[apart:]]
        chosen += ordered[: shares[intent]]
        left += ordered[shares[intent] :]
    return chosen, left


def _shares(total: int) -> dict[str, int]:
    """Return rows for each intent, in proportion to the weights, ``total`` in all (largest remainders)."""
    weights = {intent: weight for intent, (weight, _) in INTENTS.items()}
    exact = {intent: total * weight / sum(weights.values()) for intent, weight in weights.items()}
    shares = {intent: int(share) for intent, share in exact.items()}
    rest = sorted(exact, key=lambda intent: (shares[intent] - exact[intent], intent))
    for intent in rest[: total - sum(shares.values())]:
        shares[intent] += 1
    return shares


def _held_out(pool: Sequence[Item], rng: Random) -> set[str]:
    counted = [name for name, _ in Counter(item.skeleton for item in pool).most_common()]
    return {name for name in counted[COMMON_SKELETONS:] if rng.random() < HELD_OUT}


def _cover(chosen: list[Item], spare: Sequence[Item], least: int) -> None:
    """Replace plentiful items of ``chosen``, of large intents first, until each operator is used often enough."""
    used = Counter(operator for item in chosen for operator in item.operators)
    sizes = Counter(item.intent for item in chosen)
    order = sorted(range(len(chosen)), key=lambda index: (-sizes[chosen[index].intent], -index))
    for item in spare:
        if all(used[operator] >= least for operator in item.operators):
            continue
        for index in order:
            old = chosen[index]
            if all(used[name] > least for name in old.operators):
                used.subtract(old.operators)
                used.update(item.operators)
                chosen[index] = item
                break
