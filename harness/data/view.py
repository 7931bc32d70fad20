"""What the model will see, for people: tokens with ids and mask, and figures of the whole data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from harness.data.encode import EncodedSet
from harness.data.masks import IGNORED
from harness.data.render import Renderer
from harness.types import Encoded

_BAR = 40
_BINS = 10
_TRAINED, _CONTEXT, _ID = "bold black on green", "", "dim"


@dataclass(frozen=True)
class TokenView:
    """One row, token by token: each with its id, trained ones on green (between ``«`` and ``»`` without colour)."""

    row: Encoded
    renderer: Renderer
    with_ids: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a heading, the tokens, and what the colours mean."""
        colour = console.color_system is not None and not console.no_color
        trained = len(self.row.labels) - self.row.labels.count(IGNORED)
        yield Text(
            f"row {self.row.sample_id}: {len(self.row.input_ids)} tokens, {trained} of them trained", style="bold"
        )
        yield self._text(colour)
        yield Text("green: trained; plain: context" if colour else "«…»: trained; the rest: context", style="dim")

    def plain(self) -> str:
        """Return the tokens without colours."""
        return self._text(False).plain

    def _text(self, colour: bool) -> Text:
        text = Text(overflow="fold")
        inside = False
        for token, label in zip(self.row.input_ids, self.row.labels, strict=True):
            is_trained = label != IGNORED
            if not colour and is_trained != inside:
                text.append("«" if is_trained else "»")
            inside = is_trained
            piece = self.renderer.token_text(token)
            text.append(_visible(piece), _TRAINED if colour and is_trained else _CONTEXT)
            if self.with_ids:
                text.append(f"⟨{token}⟩", _ID)
            if "\n" in piece:
                text.append("\n")
        if inside and not colour:
            text.append("»")
        return text


def _visible(piece: str) -> str:
    """Return a token with its white space and control characters shown."""
    shown = piece.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "·")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in shown)


@dataclass(frozen=True)
class Figures:
    """Lengths and counts of a data set."""

    lengths: tuple[int, ...]
    counts: Mapping[str, int]
    skipped: int = 0

    @classmethod
    def of(cls, rows: EncodedSet, skipped: int = 0) -> Figures:
        """Return the figures of all rows, those kept out for validation included."""
        lengths = tuple(sorted(len(row.input_ids) for row in (*rows.train, *rows.val)))
        return cls(lengths, rows.counts, skipped)

    def quantile(self, share: float) -> int:
        """Return the length that ``share`` of the rows do not exceed (the nearest rank)."""
        if not self.lengths:
            return 0
        return self.lengths[max(0, -int(-share * len(self.lengths) // 1) - 1)]

    @property
    def trained_share(self) -> float:
        """Share of the training rows' tokens that are trained."""
        return self.counts["trained_tokens"] / max(1, self.counts["tokens"])

    def table(self) -> Table:
        """Return the figures as a table of two columns."""
        table = Table(title="What the model will see", show_header=False, title_justify="left")
        table.add_column("figure")
        table.add_column("value", justify="right")
        for name, value in self.lines():
            table.add_row(name, value)
        return table

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield each figure with its name."""
        counts = self.counts
        yield "rows read", f"{counts['rows']:,}"
        yield "rows to train on", f"{counts['train_rows']:,}"
        yield "rows kept out (val_set_size)", f"{counts['val_rows']:,}"
        yield "rows skipped by the format", f"{self.skipped:,}"
        yield "duplicates (kept)", f"{counts['duplicates']:,}"
        yield "longer than sequence_len", f"{counts['too_long']:,}"
        yield "  of which truncated", f"{counts['truncated']:,}"
        yield "  of which dropped", f"{counts['dropped']:,}"
        yield "replies the template rewrites (not trained)", f"{counts['lost_turns']:,}"
        yield "replies moved behind the served prompt", f"{counts['realigned']:,}"
        yield "tokens", f"{counts['tokens']:,}"
        yield "trained tokens", f"{counts['trained_tokens']:,} ({self.trained_share:.1%})"
        shortest, longest = (self.lengths[0], self.lengths[-1]) if self.lengths else (0, 0)
        spread = f"{shortest:,} / {self.quantile(0.5):,} / {self.quantile(0.95):,} / {longest:,}"
        yield "length: min / median / p95 / max", spread

    def histogram(self) -> Text:
        """Return the lengths as bars of text, one line for each of ten equal ranges."""
        text = Text().append("Tokens per row\n", style="bold")
        bins = histogram(self.lengths, _BINS)
        most = max((count for _, _, count in bins), default=1)
        for low, high, count in bins:
            bar = "█" * -(-count * _BAR // most)
            text.append(f"{low:>7,} – {high:>7,} {bar} {count:,}\n")
        return text


def histogram(lengths: Sequence[int], bins: int) -> list[tuple[int, int, int]]:
    """Return equal ranges from the shortest to the longest, both ends included, and how many lie in each."""
    if not lengths:
        return []
    low, high = min(lengths), max(lengths)
    width = max(1, -(-(high - low + 1) // bins))
    starts = range(low, high + 1, width)
    counts = [0] * len(starts)
    for length in lengths:
        counts[(length - low) // width] += 1
    return [(start, start + width - 1, count) for start, count in zip(starts, counts, strict=True)]


def chosen_views(rows: EncodedSet, renderer: Renderer, wanted: Sequence[str]) -> list[RenderableType]:
    """Return the token views of the rows named, by id or by number from 1; a line for each that is not there."""
    everything = [*rows.train, *rows.val]
    by_id = {row.sample_id: row for row in everything}
    views: list[RenderableType] = []
    for name in wanted:
        row = by_id.get(name)
        if row is None and name.isdecimal() and 1 <= int(name) <= len(everything):
            row = everything[int(name) - 1]
        views.append(
            TokenView(row, renderer) if row else Text(f"row {name}: not there (1 to {len(everything)}, or an id)")
        )
    return views
