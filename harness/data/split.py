"""Rows for training and rows to measure on, never from the same group."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.errors import DataError


def split_groups(groups: Sequence[str], size: float, seed: int) -> frozenset[int]:
    """Choose the rows that are kept out of training.

    Groups are taken in a random order as long as the rows wanted are not exceeded; if the first is already larger,
    the smallest group is taken alone.

    Args:
        groups: the group of each row; rows of one group stay on one side.
        size: a share of the rows (below 1), or a number of rows.
        seed: of the order.

    Returns:
        The indices of the rows kept out; none if ``size`` is 0.

    Raises:
        DataError: all rows are of one group, or more rows are wanted than there are.
    """
    if size <= 0 or not groups:
        return frozenset()
    wanted = round(size * len(groups)) if size < 1 else int(size)
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    if len(members) < 2 or wanted >= len(groups):
        raise DataError(
            f"val_set_size: {size:g} asks for {wanted:,} of {len(groups):,} rows, which form {len(members):,} group(s);"
            " at least one group must be left to train on",
            hint="Rows with the same `cluster`, or the same prompt, form a group. Ask for fewer rows, or set it to 0.",
        )
    order = list(members)
    random.Random(seed).shuffle(order)
    chosen: list[int] = []
    for group in order:
        if len(chosen) + len(members[group]) <= max(wanted, 1):
            chosen += members[group]
    return frozenset(chosen or members[min(order, key=lambda group: len(members[group]))])
