from __future__ import annotations

import gc
import json
import struct
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fake_project

FAKE_CONFTEST = Path(fake_project.__file__)
SUITE = """
import pytest

pytestmark = pytest.mark.cases("cases.jsonl")

@pytest.mark.level1
def test_is_yes(case, generation):
    assert generation.text == "yes"
"""


def make_base(folder: Path) -> Path:
    """Write a base folder that is right in form: a tokenizer that works, weights that nobody loads."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    template = (
        "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant: {% endif %}"
    )
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens), encoding="utf-8")
    shape = {"hidden_size": 4, "num_attention_heads": 1, "num_hidden_layers": 1, "vocab_size": len(vocabulary)}
    shape |= {"intermediate_size": 8, "max_position_embeddings": 512}
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "eos_token_id": 1, **shape}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    names = {f"model.layers.0.self_attn.{part}_proj.weight": [4, 4] for part in "qkvo"}
    write_safetensors(folder / "model.safetensors", {"model.embed_tokens.weight": [len(vocabulary), 4], **names})
    return folder


def write_safetensors(path: Path, shapes: dict[str, list[int]]) -> None:
    """Write float32 zeros in the safetensors layout: header length, header, data."""
    header: dict[str, Any] = {}
    offset = 0
    for name, (rows, columns) in shapes.items():
        size = rows * columns * 4
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


class Project:
    """A small project under test: a suite, its cases, a fake engine."""

    def __init__(self, pytester: pytest.Pytester, base: Path) -> None:
        self.pytester = pytester
        self.base = base
        self.path = pytester.path
        (self.path / "conftest.py").write_text(FAKE_CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
        pytester.makeini("[pytest]\naddopts = --strict-markers -p no:randomly\n")

    def fake(self, **script: Any) -> None:
        """Say what the fake engine does."""
        self.write("fake.json", json.dumps(script))

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def cases(self, count: int = 3, name: str = "cases.jsonl", **extra: Any) -> Path:
        rows = [
            {"id": f"c{i}", "messages": [{"role": "user", "content": f"question {i}"}], **extra} for i in range(count)
        ]
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def suite(self, text: str = SUITE, name: str = "test_suite.py") -> Path:
        return self.write(name, textwrap.dedent(text))

    def config(self, **values: Any) -> Path:
        """Write a training config over the tiny base and two rows."""
        rows = [
            {"messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "yes"}]}
            for i in (1, 2)
        ]
        self.write("train.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        data = {
            "base_model": str(self.base),
            "adapter": "lora",
            "datasets": [{"path": "train.jsonl", "type": "chat_template"}],
            "sequence_len": 128,
            "num_epochs": 1,
            "micro_batch_size": 1,
            "learning_rate": 0.001,
            "output_dir": "./out",
            **values,
        }
        return self.write("train.yml", json.dumps(data))

    def trained(self, name: str = "adapter", value: float = 0.5) -> Path:
        """Write an adapter over the tiny base."""
        fake_project.write_adapter(self.path / name, self.base, value)
        return self.path / name

    def run(self, *args: str, base_only: bool = True) -> pytest.RunResult:
        """Run pytest in this process, over the base unless told otherwise."""
        try:
            return self.pytester.runpytest_inprocess(*self._args(args, base_only))
        finally:
            gc.unfreeze()  # this process goes on, unlike a user's

    def run_apart(self, *args: str, base_only: bool = True, timeout: float = 120) -> pytest.RunResult:
        """Run pytest in a process of its own."""
        return self.pytester.runpytest_subprocess(*self._args(args, base_only), timeout=timeout)

    def _args(self, args: tuple[str, ...], base_only: bool) -> list[str]:
        return [*(["--base-only", f"--base-model={self.base}"] if base_only else []), *args]

    @property
    def log(self) -> list[str]:
        """What the fake engine did."""
        path = self.path / "fake.log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def did(self, what: str) -> int:
        """How often the fake engine did something."""
        return sum(line.split()[0] == what for line in self.log)

    @property
    def runs(self) -> list[Path]:
        """The report folders, oldest first."""
        return sorted(path for path in (self.path / "reports").glob("*") if path.is_dir())

    def rows(self, name: str, run: int = -1) -> list[dict[str, Any]]:
        """The rows of a report file of a run."""
        path = self.runs[run] / name
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def outcomes(self, run: int = -1) -> dict[str, str]:
        """Outcome by node id, from ``results.jsonl``."""
        return {row["nodeid"]: row["outcome"] for row in self.rows("results.jsonl", run)}


@pytest.fixture(scope="session", autouse=True)
def extension_modules_loaded_once() -> None:
    """Inner sessions in this process drop what they import, and extension modules load only once."""
    import jsonschema
    import llguidance
    import rich.console
    import rich.progress
    import tokenizers

    import harness.cli
    import harness.config
    import harness.data
    import harness.job
    import harness.reporting.progress
    import harness.serving

    del harness, jsonschema, llguidance, rich, tokenizers


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def project(pytester: pytest.Pytester, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("HARNESS_HOME", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    made = Project(pytester, tiny_base)
    made.fake(default="yes")
    made.cases()
    made.suite()
    return made
