"""A small real training: config, rows and base as a user has them."""

import json
from pathlib import Path

from harness.config import RunConfig, load_config
from harness.data import Renderer, choose_template, data_digest, encode_all, load_samples
from harness.store import Home
from harness.training import run_training, train_or_find
from harness.types import Adapter, Base

CAPITALS = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "Peru": "Lima", "Egypt": "Cairo"}
YAML = """\
base_model: {base}
datasets:
  - path: rows.jsonl
    type: chat_template
adapter: lora
lora_r: 8
lora_dropout: 0.1
sequence_len: 256
micro_batch_size: 2
gradient_accumulation_steps: 2
max_steps: 4
learning_rate: 2e-3
lr_scheduler: constant
seed: 7
"""


class World:
    """Trains by the config in ``folder``; adapters go to the home in it, the base comes prepared."""

    def __init__(self, folder: Path, base: Base) -> None:
        self.folder, self.base = folder, base
        self.home = Home(folder / "home")
        self.events: list[dict] = []
        folder.mkdir(exist_ok=True)
        rows = [
            [("user", f"Capital of {country}?"), ("assistant", json.dumps({"city": city}))]
            for country, city in CAPITALS.items()
        ]
        lines = [json.dumps({"messages": [{"role": role, "content": text} for role, text in row]}) for row in rows]
        (folder / "rows.jsonl").write_text("\n".join(lines))

    def config(self, *overrides: str) -> RunConfig:
        file = self.folder / "train.yml"
        file.write_text(YAML.format(base=self.base.path))
        return load_config(file, overrides)

    def train(self, *overrides: str, on_event=None, trainer=run_training) -> Adapter:
        config = self.config(*overrides)
        loaded = load_samples(config.datasets).require()
        renderer = Renderer.from_folder(self.base.path, template=choose_template(config, loaded))

        def note(event):
            self.events.append(event)
            if on_event:
                on_event(event)

        return train_or_find(
            config, self.base, lambda: encode_all(loaded.samples, renderer, config),
            data_digest(loaded.samples, renderer, config), renderer, self.home, trainer=trainer, on_event=note,
        )  # fmt: skip

    def entries(self) -> list[str]:
        """What lies in the cache of adapters, anything half done included."""
        return sorted(
            str(path.relative_to(self.home.adapters)) for path in self.home.adapters.rglob("*") if path.is_file()
        )


def weights(adapter: Adapter) -> bytes:
    return (adapter.path / "adapter_model.safetensors").read_bytes()
