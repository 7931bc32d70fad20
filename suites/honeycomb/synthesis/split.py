"""Which questions train and which evaluate: apart by skeleton, with no question and no query in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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

LEAST = 4
"""Training rows that use each operator, at least."""


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
    pools = {
        cluster: list(islice(draw(cluster, domains, rng), POOL * (train_shares[cluster] + eval_shares[cluster])))
        for cluster in INTENTS
    }
    held_out = _held_out([item for pool in pools.values() for item in pool], rng)
    allowed = {cluster: [item for item in pool if item.skeleton not in held_out] for cluster, pool in pools.items()}
    trained = [item for cluster in INTENTS for item in allowed[cluster][: train_shares[cluster]]]
    _cover(trained, [item for cluster in INTENTS for item in allowed[cluster][train_shares[cluster] :]])
    taken = {item.asked for item in trained} | {item.reply for item in trained}
    seen = {item.skeleton for item in trained}
    evaluated: list[Item] = []
    for cluster in INTENTS:
        free = [item for item in pools[cluster] if not {item.asked, item.reply} & taken]
        unseen = [item for item in free if item.skeleton in held_out]
        known = [item for item in free if item.skeleton in seen]
        apart = round(eval_shares[cluster] * UNSEEN)
        evaluated += [*unseen[:apart], *known, *unseen[apart:]][: eval_shares[cluster]]
    rng.shuffle(trained)
    rng.shuffle(evaluated)
    return Split(tuple(trained), tuple(evaluated))


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


def _cover(chosen: list[Item], spare: Sequence[Item]) -> None:
    """Replace plentiful items of ``chosen``, of large clusters first, until each operator is used often enough."""
    used = Counter(operator for item in chosen for operator in item.operators)
    sizes = Counter(item.cluster for item in chosen)
    order = sorted(range(len(chosen)), key=lambda index: (-sizes[chosen[index].cluster], -index))
    for item in spare:
        if all(used[operator] >= LEAST for operator in item.operators):
            continue
        for index in order:
            old = chosen[index]
            if all(used[name] > LEAST for name in old.operators):
                used.subtract(old.operators)
                used.update(item.operators)
                chosen[index] = item
                break
