"""Which tokens are trained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.data.dataset import our_role
from harness.data.problems import RowError
from harness.data.segments import Split
from harness.data.tokenizer import Pieces
from harness.types import Message

IGNORED = -100
TrainOnEos = Literal["turn", "all", "last"]
Span = tuple[int, int]


@dataclass(frozen=True)
class MaskRules:
    """What the config says of masks."""

    train_on_inputs: bool = False
    roles_to_train: tuple[str, ...] = ("assistant",)
    train_on_eos: TrainOnEos = "turn"
    """Of which turns the end is trained: the trained ones, all, or the last trained one."""

    def trains(self, message: Message) -> bool:
        """Whether the turn is trained: its own word, else its role."""
        if message.train is not None:
            return message.train
        return message.role in {our_role(name) for name in self.roles_to_train}

    def needs_spans(self, messages: Sequence[Message]) -> bool:
        """Whether turns other than the assistant's are trained, which must be found inside the prompts."""
        return not self.train_on_inputs and any(m.role != "assistant" and self.trains(m) for m in messages)


@dataclass(frozen=True)
class Draw:
    """How the model's vocabulary bears on masks."""

    stop_ids: tuple[int, ...]
    is_blank: Callable[[int], bool]
    """Whether a token is white space or a marker: what may stand behind the end of a turn."""
    token_text: Callable[[int], str]


def turn_end(ids: Sequence[int], draw: Draw, where: str) -> int:
    """Return the index of the token that ends the turn: the first stop token behind all that is said.

    Raises:
        RowError: there is none, or one stands inside the reply, where generation would end.
    """
    tail = len(ids)
    while tail and (ids[tail - 1] in draw.stop_ids or draw.is_blank(ids[tail - 1])):
        tail -= 1
    end = next((n for n in range(tail, len(ids)) if ids[n] in draw.stop_ids), None)
    if end is None:
        stops = ", ".join(draw.token_text(stop) for stop in draw.stop_ids)
        raise RowError([f"{where} ends in none of the tokens that generation stops on ({stops})"])
    inside = next((n for n in range(tail) if ids[n] in draw.stop_ids), None)
    if inside is not None:
        raise RowError([f"{where} holds {draw.token_text(ids[inside])} in its text, where generation would end"])
    return end


def label_row(
    messages: Sequence[Message],
    split: Split,
    pieces: Sequence[Pieces],
    rules: MaskRules,
    draw: Draw,
    spans: Sequence[Span] = (),
) -> list[int]:
    """Return the labels of a row, as long as the ids of ``pieces`` together.

    Args:
        messages: the conversation.
        split: its text in segments.
        pieces: the tokens of each segment.
        rules: what is trained.
        draw: stop tokens and the like.
        spans: character ranges of the text that are trained although they are no reply.
    """
    trained = [
        segment.turn for segment in split.segments if segment.turn is not None and rules.trains(messages[segment.turn])
    ]
    labels: list[int] = []
    position = 0
    for segment, piece in zip(split.segments, pieces, strict=True):
        if segment.turn is None:
            labels += _prompt_labels(piece, position, rules, draw, spans)
        else:
            end = turn_end(piece.ids, draw, f"turn {segment.turn + 1}")
            is_trained = segment.turn in trained
            with_eos = rules.train_on_eos == "all" or (
                is_trained and (rules.train_on_eos == "turn" or segment.turn == trained[-1])
            )
            said = piece.ids[:end] if is_trained else [IGNORED] * end
            labels += [*said, piece.ids[end] if with_eos else IGNORED, *[IGNORED] * (len(piece.ids) - end - 1)]
        position += len(segment.text)
    return labels


def _prompt_labels(piece: Pieces, position: int, rules: MaskRules, draw: Draw, spans: Collection[Span]) -> list[int]:
    if rules.train_on_inputs:
        return list(piece.ids)
    labels = [IGNORED] * len(piece.ids)
    for number, (token, (start, end)) in enumerate(zip(piece.ids, piece.offsets, strict=True) if spans else ()):
        if any(low <= position + start < high and start < end for low, high in spans):
            labels[number] = token
    if rules.train_on_eos == "all":
        labels = [t if t in draw.stop_ids else label for t, label in zip(piece.ids, labels, strict=True)]
    return labels
