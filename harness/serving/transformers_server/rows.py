"""What differs from row to row of a batch: grammar, penalties, sampling, where it ends, what is streamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria, TopKLogitsWarper, TopPLogitsWarper

from harness.serving.transformers_server.ask import Ask

Decode = Callable[[Sequence[int], Ask], str]
Constraint = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class RowRules(LogitsProcessor):
    """Changes the logits of each unfinished row as its own request asks.

    Sampling is done here, by adding Gumbel noise from the row's own generator before the argmax: a row then
    draws the same tokens whatever rows share its batch.
    """

    def __init__(self, asks: Sequence[Ask], constraints: Sequence[Constraint | None], prompt_length: int) -> None:
        """``constraints`` are the grammars' processors, one a row, each seeing only its row."""
        self._asks = asks
        self._constraints = constraints
        self._prompt_length = prompt_length
        self._stops = [set(ask.stop_ids) for ask in asks]
        self._generators = [_generator(ask) for ask in asks]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the changed logits, [rows, vocabulary]."""
        for row, ask in enumerate(self._asks):
            ids = input_ids[row, self._prompt_length - len(ask.prompt_ids) :]
            written = len(ids) - len(ask.prompt_ids)
            if written and int(ids[-1]) in self._stops[row]:
                continue  # finished: it is only padded from here on
            scores[row] = self._row(row, ask, ids, scores[row : row + 1])
        return scores

    def _row(self, row: int, ask: Ask, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        constraint = self._constraints[row]
        if constraint is not None:
            scores = constraint(ids.unsqueeze(0), scores)
        if ask.repetition_penalty != 1.0:
            seen = scores[0, ids]
            scores[0, ids] = torch.where(seen < 0, seen * ask.repetition_penalty, seen / ask.repetition_penalty)
        if ask.temperature > 0:
            scores = scores.float() / ask.temperature
            if ask.top_k:
                scores = TopKLogitsWarper(top_k=ask.top_k)(None, scores)
            if ask.top_p < 1:
                scores = TopPLogitsWarper(top_p=ask.top_p)(None, scores)
            uniform = torch.rand(scores.shape[-1], generator=self._generators[row], dtype=torch.float64)
            scores = scores - torch.log(-torch.log(uniform)).to(scores)
        return scores[0]


class RowEnds(StoppingCriteria):
    """Ends a row at its own length, at a stop string or when nobody listens; hands streamed text on."""

    def __init__(self, asks: Sequence[Ask], prompt_length: int, decode: Decode) -> None:
        """``decode`` turns reply ids into text."""
        self._asks = asks
        self._prompt_length = prompt_length
        self._decode = decode
        self._stops = [set(ask.stop_ids) for ask in asks]
        self._sent = [0] * len(asks)
        self._done = [False] * len(asks)

    def __call__(self, input_ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        """Return which rows are done, [rows]."""
        written = input_ids.shape[1] - self._prompt_length
        for row, ask in enumerate(self._asks):
            if not self._done[row]:
                self._done[row] = self._is_done(row, ask, input_ids, written)
        return torch.tensor(self._done, device=input_ids.device)

    def _is_done(self, row: int, ask: Ask, input_ids: torch.Tensor, written: int) -> bool:
        done = ask.cancelled or written >= ask.max_tokens or int(input_ids[row, -1]) in self._stops[row]
        if not ask.stop and ask.pieces is None:
            return done
        text = self._decode(input_ids[row, self._prompt_length :].tolist(), ask)
        cut = first_stop(text, ask.stop)
        if ask.pieces is not None:
            self._send(row, ask, text[:cut] if cut is not None else text, last=done or cut is not None)
        return done or cut is not None

    def _send(self, row: int, ask: Ask, text: str, *, last: bool) -> None:
        # hold back a half-written character, and what may turn out to be the beginning of a stop string
        held = 0 if last else max((len(stop) - 1 for stop in ask.stop), default=0)
        ready = text[: len(text) - held]
        if not last and ready.endswith("\ufffd"):
            return
        if len(ready) > self._sent[row] and ask.pieces is not None:
            ask.pieces.put(ready[self._sent[row] :])
            self._sent[row] = len(ready)


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Return where the earliest stop string begins in ``text``, or None."""
    found = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    return min(found, default=None)


def needs_rules(ask: Ask) -> bool:
    """Whether plain greedy argmax is not enough for this row."""
    return ask.grammar is not None or ask.temperature > 0 or ask.repetition_penalty != 1.0


def _generator(ask: Ask) -> torch.Generator:
    generator = torch.Generator()
    if ask.seed is None:
        generator.seed()
    else:
        generator.manual_seed(ask.seed)
    return generator
