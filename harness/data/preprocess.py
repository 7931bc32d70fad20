"""All of data preparation in one call: what ``harness preprocess`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group

from harness.data.choose import choose_template
from harness.data.encode import EncodedSet, encode_all
from harness.data.prepared import prepared_file, prepared_key
from harness.data.render import Renderer
from harness.data.samples import Loaded, load_samples
from harness.data.view import Figures, chosen_views

if TYPE_CHECKING:
    from harness.config import RunConfig


@dataclass(frozen=True)
class Preprocessed:
    """The rows as training gets them."""

    loaded: Loaded
    encoded: EncodedSet
    renderer: Renderer
    file: Path | None
    """Where they were written; None without ``dataset_prepared_path``."""

    @property
    def figures(self) -> Figures:
        """Lengths and counts."""
        return Figures.of(self.encoded, self.loaded.counts.get("skipped", 0))

    def report(self, rows: Sequence[str] = ("1",)) -> Group:
        """Return what to show: the chosen rows token by token, then the figures and the histogram."""
        figures = self.figures
        return Group(*chosen_views(self.encoded, self.renderer, rows), figures.table(), figures.histogram())


def preprocess(config: RunConfig, base: Path) -> Preprocessed:
    """Read, render, tokenise and split the config's data, and write it to ``dataset_prepared_path``.

    Args:
        config: the configuration.
        base: folder of the base model (its tokenizer is read).

    Raises:
        DataError: rows are bad; every one is named.
        TemplateError: the chat template is missing or cannot be used.
        ModelError: the folder has no usable tokenizer.
    """
    loaded = load_samples(config.datasets).require()
    template = choose_template(config, loaded)
    renderer = Renderer.from_folder(base, template=template, special_tokens=config.special_token_map)
    encoded = encode_all(loaded.samples, renderer, config)
    folder = config.dataset_prepared_path
    file = prepared_file(Path(folder), prepared_key(encoded.digest, renderer)) if folder else None
    return Preprocessed(loaded, encoded, renderer, file)
