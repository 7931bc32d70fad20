"""The tokenizer of a model folder: its special tokens, and how segments of a text are tokenised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.problems import shorten
from harness.errors import ModelError, Problem

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_SENTINEL = "\n"


@dataclass(frozen=True)
class Pieces:
    """The tokens of one segment: ids, and where each stands in the segment's text."""

    ids: list[int]
    offsets: list[tuple[int, int]]


@dataclass(frozen=True)
class FolderTokenizer:
    """A ``tokenizer.json`` with what its neighbours say; read when first needed."""

    folder: Path
    overrides: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer itself.

        Raises:
            ModelError: there is none, or it cannot be read.
        """
        from tokenizers import AddedToken, Tokenizer

        file = self.folder / "tokenizer.json"
        if not file.is_file():
            raise ModelError(
                f"the base model in {self.folder} has no tokenizer.json.",
                hint="Save one beside the weights: AutoTokenizer.from_pretrained(…).save_pretrained(folder).",
            )
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises plain Exception
            raise ModelError(f"{file} cannot be read: {error}") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        for content, added in self._added_later(tokenizer).items():
            tokenizer.add_special_tokens([AddedToken(content, **added)])
        # a token that is named as special is found in a text even if tokenizer.json has it as an ordinary one
        ordinary = [text for text in self._named.values() if tokenizer.token_to_id(text) is not None]
        added_ids = tokenizer.get_added_tokens_decoder()
        tokenizer.add_special_tokens(
            [AddedToken(text, normalized=False) for text in ordinary if tokenizer.token_to_id(text) not in added_ids]
        )
        return tokenizer

    def _added_later(self, tokenizer: Tokenizer) -> dict[str, dict[str, bool]]:
        """Return tokens that only ``tokenizer_config.json`` adds, in the order of their ids."""
        decoder = self.config.get("added_tokens_decoder")
        entries = sorted(decoder.items(), key=lambda item: int(item[0])) if isinstance(decoder, dict) else []
        flags = ("lstrip", "rstrip", "single_word", "normalized")
        return {
            entry["content"]: {flag: bool(entry.get(flag, False)) for flag in flags}
            for _, entry in entries
            if tokenizer.token_to_id(entry["content"]) is None
        }

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """``tokenizer_config.json``, on top of the older ``special_tokens_map.json``."""
        return {
            **_read_json(self.folder / "special_tokens_map.json"),
            **_read_json(self.folder / "tokenizer_config.json"),
        }

    @cached_property
    def special_tokens(self) -> dict[str, str]:
        """The named special tokens that there are (``bos_token`` …), each with its text.

        Raises:
            ModelError: a token of the config's ``special_tokens`` is not in the vocabulary.
        """
        problems = [
            Problem(f"special_tokens.{name}: {shorten(token)} is not in the vocabulary")
            for name, token in self.overrides.items()
            if self.tokenizer.token_to_id(token) is None
        ]
        if problems:
            raise ModelError(
                f"the tokenizer in {self.folder} lacks tokens that the config names:",
                problems,
                "A new token would need new rows in the embedding, which an adapter does not train; choose others.",
            )
        return self._named

    @cached_property
    def _named(self) -> dict[str, str]:
        """The special tokens that the config file and the overrides name, whether they exist or not."""
        found: dict[str, str] = {}
        for name in SPECIAL_TOKENS:
            value = self.config.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str):
                found[name] = text
        return found | dict(self.overrides)

    def special_id(self, name: str) -> int | None:
        """Return the id of ``bos_token`` and the like; None, if the model has none."""
        token = self.special_tokens.get(name)
        return None if token is None else self.tokenizer.token_to_id(token)

    @cached_property
    def wants_bos(self) -> bool:
        """Whether a text of this model begins with BOS although the template may not write it."""
        bos = self.special_id("bos_token")
        stated = self.config.get("add_bos_token")
        if bos is None or stated is False:
            return False
        if stated is True:
            return True
        with_added, without = (self.tokenizer.encode("a", add_special_tokens=added).ids for added in (True, False))
        return with_added[:1] == [bos] and without[:1] != [bos]

    @cached_property
    def marker_ids(self) -> frozenset[int]:
        """Ids of the tokens that are markers, not text."""
        added = self.tokenizer.get_added_tokens_decoder()
        named = (self.special_id(name) for name in ("bos_token", "eos_token"))
        return frozenset([*(i for i, token in added.items() if token.special), *(i for i in named if i is not None)])

    @cached_property
    def eos_ids(self) -> tuple[int, ...]:
        """The ids that end a text: the tokenizer's EOS, and those of the model's generation config."""
        ids = [self.special_id("eos_token")]
        for name in ("generation_config.json", "config.json"):
            stated = _read_json(self.folder / name).get("eos_token_id")
            if stated is not None:
                ids += stated if isinstance(stated, list) else [stated]
                break
        size = self.tokenizer.get_vocab_size(with_added_tokens=True)
        return tuple(dict.fromkeys(i for i in ids if isinstance(i, int) and 0 <= i < size))

    @cached_property
    def _marks_starts(self) -> bool:
        """Whether the tokenizer puts a space before the first word of whatever it is given."""
        alone = self.tokenizer.encode("a", add_special_tokens=False).ids
        behind = self.tokenizer.encode(_SENTINEL + "a", add_special_tokens=False).ids
        return bool(alone) and alone != behind[-len(alone) :]

    def token_text(self, token: int) -> str:
        """Return one token as it stands in a text, special or not."""
        added = self.tokenizer.get_added_tokens_decoder().get(token) if token in self.marker_ids else None
        return added.content if added else self.tokenizer.decode([token], skip_special_tokens=False)

    def is_blank(self, token: int) -> bool:
        """Whether a token is white space, or a marker that says nothing."""
        known = self._blank.get(token)
        if known is None:
            marker = token in self.marker_ids and token != self.special_id("unk_token")
            known = self._blank[token] = marker or not self.tokenizer.decode([token], skip_special_tokens=False).strip()
        return known

    @cached_property
    def _blank(self) -> dict[int, bool]:
        return {}

    def pieces(self, texts: Sequence[str], starts: Sequence[bool], *, with_offsets: bool) -> list[Pieces]:
        """Return the tokens of each segment, with offsets only where they are asked for (they cost time)."""
        if with_offsets or self._marks_starts:
            return self.encode_pieces(texts, starts)
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [Pieces(encoding.ids, []) for encoding in encodings]

    def encode_pieces(self, texts: Sequence[str], starts: Sequence[bool]) -> list[Pieces]:
        """Return ids and character offsets of each segment.

        Args:
            texts: segments, each tokenised apart.
            starts: whether the segment is the start of a text. Tokenizers that mark the start of a text with a space
                do not do so in the middle of one.
        """
        behind = [self._marks_starts and not start for start in starts]
        given = [_SENTINEL + text if mark else text for text, mark in zip(texts, behind, strict=True)]
        encodings = self.tokenizer.encode_batch(given, add_special_tokens=False)
        return [
            self._without_sentinel(text, encoding) if mark else Pieces(encoding.ids, encoding.offsets)
            for text, mark, encoding in zip(texts, behind, encodings, strict=True)
        ]

    def _without_sentinel(self, text: str, encoding: Encoding) -> Pieces:
        size = len(_SENTINEL)
        offsets = encoding.offsets
        count = sum(1 for _, end in offsets if end <= size)
        if any(start < size < end for start, end in offsets):
            plain = self.tokenizer.encode(text, add_special_tokens=False)
            return Pieces(plain.ids, plain.offsets)
        return Pieces(encoding.ids[count:], [(start - size, end - size) for start, end in offsets[count:]])


def _read_json(file: Path) -> dict[str, Any]:
    """Return the object in ``file``; nothing, if there is no such file."""
    if not file.is_file():
        return {}
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    return value if isinstance(value, dict) else {}
