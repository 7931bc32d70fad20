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
    """Draw questions of every cluster and split them, each side with the same shares of clusters."""
    train_shares, eval_shares = _shares(train), _shares(evaluation)
    drawn: set[str] = set()
    pools = {
        cluster: list(islice(draw(cluster, domains, rng, drawn), POOL * (train_shares[cluster] + eval_shares[cluster])))
        for cluster in INTENTS
    }
    held_out = _held_out([item for pool in pools.values() for item in pool], rng)
    allowed = {cluster: [item for item in pool if item.skeleton not in held_out] for cluster, pool in pools.items()}
    trained = [item for cluster in INTENTS for item in allowed[cluster][: train_shares[cluster]]]
    _cover(trained, [item for cluster in INTENTS for item in allowed[cluster][train_shares[cluster] :]], LEAST_TRAINED)
    taken, fit = {item.asked for item in trained}, held_out | {item.skeleton for item in trained}
    free = {
        cluster: [item for item in pool if item.asked not in taken and item.skeleton in fit]
        for cluster, pool in pools.items()
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
    """Return each cluster's share, of which :data:`UNSEEN` with skeletons kept from training, and what is left."""
    chosen: list[Item] = []
    left: list[Item] = []
    for cluster, items in free.items():
        unseen = [item for item in items if item.skeleton in held_out]
        known = [item for item in items if item.skeleton not in held_out]
        apart = round(shares[cluster] * UNSEEN)
        ordered = [*unseen[:apart], *known, *unseen[apart:]]
        chosen += ordered[: shares[cluster]]
        left += ordered[shares[cluster] :]
    return chosen, left


def _shares(total: int) -> dict[str, int]:
    """Return rows for each cluster, in proportion to the weights, ``total`` in all (largest remainders)."""
    weights = {cluster: weight for cluster, (weight, _) in INTENTS.items()}
    exact = {cluster: total * weight / sum(weights.values()) for cluster, weight in weights.items()}
    shares = {cluster: int(share) for cluster, share in exact.items()}
    rest = sorted(exact, key=lambda cluster: (shares[cluster] - exact[cluster], cluster))
    for cluster in rest[: total - sum(shares.values())]:
        shares[cluster] += 1
    return shares


def _held_out(pool: Sequence[Item], rng: Random) -> set[str]:
    counted = [name for name, _ in Counter(item.skeleton for item in pool).most_common()]
    return {name for name in counted[COMMON_SKELETONS:] if rng.random() < HELD_OUT}


def _cover(chosen: list[Item], spare: Sequence[Item], least: int) -> None:
    """Replace plentiful items of ``chosen``, of large clusters first, until each operator is used often enough."""
    used = Counter(operator for item in chosen for operator in item.operators)
    sizes = Counter(item.cluster for item in chosen)
    order = sorted(range(len(chosen)), key=lambda index: (-sizes[chosen[index].cluster], -index))
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
