"""Writes the suite's data: ``python -m suites.honeycomb.generate``. One seed, one set of bytes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from suites.honeycomb.synthesis.domains import load_domains
from suites.honeycomb.synthesis.flaws import Flaw, plant_realistic, plant_systematic
from suites.honeycomb.synthesis.rows import Item, eval_row, training_row
from suites.honeycomb.synthesis.split import make_split

DATA = Path(__file__).parent / "data"
SEED = 20240609
TRAIN_ROWS = 800
EVAL_ROWS = 420


def generate(folder: Path, *, seed: int = SEED, train: int = TRAIN_ROWS, evaluation: int = EVAL_ROWS) -> None:
    """Write ``train.jsonl``, ``train.demo.jsonl``, ``eval.jsonl`` and ``answers.jsonl`` to ``folder``."""
    rng = Random(seed)
    split = make_split(load_domains(), train, evaluation, rng)
    names = [f"hc-{number:04}" for number in range(1, train + 1)]
    flaws = plant_realistic(split.train, rng)
    demo = flaws | plant_systematic(split.train, flaws, rng)
    folder.mkdir(parents=True, exist_ok=True)
    for name, planted in (("train.jsonl", flaws), ("train.demo.jsonl", demo)):
        _write(folder / name, (_row(names[i], item, planted.get(i)) for i, item in enumerate(split.train)))
    _write(
        folder / "eval.jsonl",
        (eval_row(f"hc-eval-{i:04}", item, item.skeleton in split.seen) for i, item in enumerate(split.evaluation, 1)),
    )
    answers = (
        {"file": file, **_answer(names[i], split.train[i], flaw)}
        for file, planted in (("train.jsonl", flaws), ("train.demo.jsonl", demo))
        for i, flaw in sorted(planted.items())
    )
    _write(folder / "answers.jsonl", answers)


def _answer(name: str, item: Item, flaw: Flaw) -> dict[str, Any]:
    return {"id": name, "flaw": flaw.kind, "note": flaw.note, "has": flaw.query, "right": item.query}


def _row(name: str, item: Item, flaw: Flaw | None) -> dict[str, Any]:
    return training_row(name, item, None if flaw is None else json.dumps(flaw.query, ensure_ascii=False))


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def main() -> None:
    """Read the command line and write the data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DATA, help="folder to write to (default: the suite's data/)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--train", type=int, default=TRAIN_ROWS, help="training rows")
    parser.add_argument("--eval", type=int, default=EVAL_ROWS, dest="evaluation", help="eval rows")
    options = parser.parse_args()
    generate(options.out, seed=options.seed, train=options.train, evaluation=options.evaluation)


if __name__ == "__main__":
    main()
