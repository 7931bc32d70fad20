"""The one renderer: what the model is trained on and what it is asked come from the same code.

Text is made by the chat template exactly as ``transformers`` makes it; it is then cut at the
assistant's turns and each piece is tokenised apart, so that the ids of a prompt do not depend on
whether a reply follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.data.chat_templates import ChatTemplate, find_template
from harness.data.chat_text import ChatText
from harness.data.masks import IGNORED, Draw, MaskRules, TrainOnEos, label_row
from harness.data.problems import RowError
from harness.data.segments import PROBE, Split, Splitter, Tools
from harness.data.tokenizer import FolderTokenizer, Pieces
from harness.errors import DataError, Problem, TemplateError
from harness.store import digest
from harness.types import Encoded, Message, Sample

RENDERER_VERSION = 1
"""Part of every key; raised when the ids of the same conversation change."""

_UNTRAINED = "no token of the row is trained: all its assistant turns are excluded (train: false, roles_to_train)"


@dataclass(frozen=True)
class RowTokens:
    """Ids and labels of a whole row; how many replies a rewriting by the template kept from training, or moved."""

    ids: list[int]
    labels: list[int]
    lost_turns: int
    realigned: int = 0

    def encoded(self, sample: Sample, sequence_len: int | None = None) -> Encoded:
        """Return the row cut to ``sequence_len``.

        Raises:
            RowError: nothing of what is left is trained.
        """
        ids, labels = tuple(self.ids[:sequence_len]), tuple(self.labels[:sequence_len])
        if all(label == IGNORED for label in labels[1:]):
            cut = sequence_len is not None and len(self.ids) > sequence_len
            why = f"the first {sequence_len} of its {len(self.ids)} tokens hold no trained one" if cut else _UNTRAINED
            raise RowError([why])
        return Encoded(sample.id, ids, labels, sample.cluster)


class Renderer:
    """Turns conversations into token ids for one tokenizer and one chat template."""

    def __init__(self, tokenizer: FolderTokenizer, template: ChatTemplate) -> None:
        """Put the two together; nothing is read before it is needed."""
        self.tokenizer = tokenizer
        self.template = template

    @classmethod
    def from_folder(
        cls, folder: Path, *, template: str | None = None, special_tokens: Mapping[str, str | None] | None = None
    ) -> Renderer:
        """Return the renderer for the model in ``folder``.

        Args:
            folder: holds ``tokenizer.json`` and its neighbours.
            template: a name (``alpaca``, ``chatml``, …), jinja text, or None for the folder's own.
            special_tokens: replace the tokenizer's ``bos_token``, ``eos_token`` and so on.

        Raises:
            TemplateError: there is no such template; the message shows how to name one.
        """
        overrides = {name: token for name, token in (special_tokens or {}).items() if token}
        return cls(FolderTokenizer(folder, overrides), find_template(folder, template))

    @property
    def template_text(self) -> str:
        """The template as one text, which :meth:`from_folder` reads back."""
        return self.template.text

    @property
    def fingerprint(self) -> str:
        """Changes when the same messages may get other ids from the same tokenizer files."""
        return digest([RENDERER_VERSION, self.template_text, dict(self.tokenizer.overrides)])

    @property
    def vocab_size(self) -> int:
        """How many tokens there are, added ones included."""
        return self.tokenizer.tokenizer.get_vocab_size(with_added_tokens=True)

    @property
    def bos_id(self) -> int | None:
        """Id of the token that begins a text; None: the model has none."""
        return self.tokenizer.special_id("bos_token")

    @property
    def pad_id(self) -> int:
        """Id to fill up short rows with (never trained, never attended to)."""
        pad = self.tokenizer.special_id("pad_token")
        return pad if pad is not None else self.stop_ids[-1]

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids on which generation ends: the token that ends an assistant's turn, and the model's EOS tokens."""
        return self._ends[1]

    @property
    def splitter(self) -> Splitter:
        """Cuts conversations into segments."""
        return self._ends[0]

    @cached_property
    def _ends(self) -> tuple[Splitter, tuple[int, ...]]:
        """Find out, on a plain question and answer, how the template ends the assistant's turn.

        A template of ours may have an end marker that this model has no token for; then the model's EOS
        is written in its place (``turn_eos``).

        Raises:
            TemplateError: the template cannot render it, or ends a turn in no token to stop on.
        """
        eos = self.tokenizer.special_tokens.get("eos_token", "")
        ends: int | None = None
        splitter = self._make_splitter("")
        for turn_eos in ("", eos):
            splitter = self._make_splitter(turn_eos)
            ends = self._probe(splitter)
            if ends is not None:
                break
        if ends is None:
            raise TemplateError(
                f"the chat template ({self.template.name}) ends the assistant's turn in no special token, so the model"
                " could not learn to stop.",
                hint="Write {{ eos_token }} at the end of each assistant turn (chat_template_jinja), or name a template"
                " that does: `chat_template: chatml`.",
            )
        return splitter, tuple(dict.fromkeys((ends, *self.tokenizer.eos_ids)))

    def _make_splitter(self, turn_eos: str) -> Splitter:
        tokens = self.tokenizer.special_tokens
        return Splitter(ChatText(self.template, tokens, turn_eos), tuple(dict.fromkeys(tokens.values())))

    def _probe(self, splitter: Splitter) -> int | None:
        """Return the first special token behind the reply of a plain conversation, or None."""
        try:
            reply = splitter.row(PROBE, ()).segments[-1]
        except RowError as error:
            problems = [Problem(reason) for reason in error.reasons]
            raise TemplateError("the chat template cannot render a plain question and answer:", problems) from error
        pieces = self.tokenizer.encode_pieces([reply.text], [reply.start])[0]
        said = reply.text.find(PROBE[1].content) + len(PROBE[1].content)
        behind = (i for i, (start, _) in zip(pieces.ids, pieces.offsets, strict=True) if start >= said)
        return next((i for i in behind if i in self.tokenizer.marker_ids), None)

    def prompt_text(self, messages: Sequence[Message], tools: Tools = ()) -> str:
        """Return the text that asks for the assistant's next turn, the same as ``apply_chat_template`` makes.

        Raises:
            TemplateError: the template refuses the conversation.
        """
        try:
            return self.splitter.render_prompt(messages, tools)
        except RowError as error:
            raise TemplateError("this conversation cannot be asked:", _problems(error)) from error

    def prompt_ids(self, messages: Sequence[Message], tools: Tools = ()) -> tuple[int, ...]:
        """Return the ids that ask for the assistant's next turn.

        Raises:
            TemplateError: the template refuses the conversation.
        """
        return self.prompts([(messages, tools)])[0]

    def prompts(self, conversations: Sequence[tuple[Sequence[Message], Tools]]) -> list[tuple[int, ...]]:
        """Return the prompt ids of many conversations, faster than one by one.

        Raises:
            TemplateError: the template refuses some of them; each is named by its number.
        """
        splits: list[Split] = []
        problems: list[Problem] = []
        for number, (messages, tools) in enumerate(conversations, start=1):
            try:
                splits.append(self.splitter.prompt(messages, tools))
            except RowError as error:
                problems += _problems(error, f"{number}" if len(conversations) > 1 else None)
        if problems:
            raise TemplateError("conversations that cannot be asked:", problems)
        return [
            tuple(i for piece in pieces for i in piece.ids) for pieces in self._tokenise(splits, with_offsets=False)
        ]

    def tokens(self, samples: Sequence[Sample], rules: MaskRules) -> list[RowTokens | RowError]:
        """Return ids and labels of training rows (of any length), or what is wrong, in the order of ``samples``."""
        rows: list[Split | RowError] = []
        for sample in samples:
            try:
                rows.append(self._split_row(sample, rules))
            except RowError as error:
                rows.append(error)
        splits = [row for row in rows if isinstance(row, Split)]
        pieces = iter(self._tokenise(splits, with_offsets=any(rules.needs_spans(s.messages) for s in samples)))
        return [
            row if isinstance(row, RowError) else self._label(sample, row, next(pieces), rules)
            for sample, row in zip(samples, rows, strict=True)
        ]

    def encode(
        self,
        sample: Sample,
        *,
        train_on_inputs: bool = False,
        roles_to_train: Sequence[str] = ("assistant",),
        train_on_eos: TrainOnEos = "turn",
        sequence_len: int | None = None,
    ) -> Encoded:
        """Return what the model sees of one row, cut to ``sequence_len``.

        Raises:
            DataError: the row cannot be trained on; it is named.
        """
        rules = MaskRules(train_on_inputs, tuple(roles_to_train), train_on_eos)
        row = self.tokens([sample], rules)[0]
        try:
            if isinstance(row, RowError):
                raise row
            return row.encoded(sample, sequence_len)
        except RowError as error:
            raise DataError("the row cannot be trained on:", row_problems(sample, error)) from error

    def decode(self, ids: Iterable[int], *, keep_special: bool = False) -> str:
        """Return the text of ``ids``, without special tokens unless ``keep_special``."""
        return self.tokenizer.tokenizer.decode(list(ids), skip_special_tokens=not keep_special)

    def token_text(self, token: int) -> str:
        """Return one token as it stands in a text, special or not."""
        return self.tokenizer.token_text(token)

    def _split_row(self, sample: Sample, rules: MaskRules) -> Split:
        to_the_end = rules.train_on_inputs or rules.needs_spans(sample.messages)
        return self.splitter.row(sample.messages, sample.tools, to_the_end=to_the_end)

    def _tokenise(self, splits: Sequence[Split], *, with_offsets: bool) -> list[list[Pieces]]:
        """Return the tokens of each split's segments; each text begins with as many BOS as it should."""
        texts = [segment.text for split in splits for segment in split.segments]
        starts = [segment.start for split in splits for segment in split.segments]
        found = iter(self.tokenizer.pieces(texts, starts, with_offsets=with_offsets))
        rows = [[next(found) for _ in split.segments] for split in splits]
        return [self._with_bos(row) for row in rows]

    def _with_bos(self, pieces: list[Pieces]) -> list[Pieces]:
        """Put BOS before a text that lacks it, and take off one that is there twice."""
        bos, first = self.bos_id, pieces[0]
        if bos is None:
            return pieces
        if self.tokenizer.wants_bos and first.ids[:1] != [bos]:
            return [Pieces([bos, *first.ids], [(0, 0), *first.offsets]), *pieces[1:]]
        while first.ids[:2] == [bos, bos]:
            first = Pieces(first.ids[1:], first.offsets[1:])
        return [first, *pieces[1:]]

    def _label(self, sample: Sample, split: Split, pieces: list[Pieces], rules: MaskRules) -> RowTokens | RowError:
        messages = sample.messages
        wanted = [n for n, m in enumerate(messages) if m.role != "assistant" and rules.trains(m)]
        try:
            with_spans = rules.needs_spans(messages)
            spans = self.splitter.spans(messages, sample.tools, wanted, split.text) if with_spans else []
            labels = label_row(messages, split, pieces, rules, self._draw, spans)
        except RowError as error:
            return error
        lost = sum(1 for turn in split.lost if rules.trains(messages[turn]))
        return RowTokens([i for piece in pieces for i in piece.ids], labels, lost, split.realigned)

    @cached_property
    def _draw(self) -> Draw:
        return Draw(self.stop_ids, self.tokenizer.is_blank, self.token_text)


def row_problems(sample: Sample, error: RowError) -> list[Problem]:
    """Return what is wrong with a sample, with its place."""
    source = sample.source
    file, line = (source.file, source.line) if source else (None, None)
    return [Problem(reason, file, line, sample.id) for reason in error.reasons]


def _problems(error: RowError, row: str | None = None) -> list[Problem]:
    return [Problem(reason, row=row) for reason in error.reasons]
