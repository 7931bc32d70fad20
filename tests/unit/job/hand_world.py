"""A user's folder with a config, rows, a tiny base and an adapter over it; nobody loads the weights."""

import importlib.util
import json
import sys
from pathlib import Path

from harness.config import load_config
from harness.job import JobSession, RunRequest
from harness.job.resolve import resolve_target
from harness.store import Home
from harness.types import Case, Message, Reply

PLUGIN_TESTS = Path(__file__).parents[2] / "plugin"
YAML = """\
base_model: ./base
adapter: lora
datasets:
  - path: rows.jsonl
    type: chat_template
sequence_len: 128
num_epochs: 1
micro_batch_size: 1
learning_rate: 0.001
output_dir: ./out
"""
CASE = Case("c", (Message("user", "What?"),))


def _plugin_conftest():
    spec = importlib.util.spec_from_file_location("plugin_conftest", PLUGIN_TESTS / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.insert(0, str(PLUGIN_TESTS))
make_base = _plugin_conftest().make_base

from fake_project import write_adapter  # noqa: E402


def files(folder):
    """Every file below ``folder`` with its content, caches left out."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name.parts[0] not in (".harness", "home")}


class FakeEngine:
    """Says "yes" to everything; dies before the request whose number is ``dies_before``."""

    name = "fake"
    wants_ids = True

    def __init__(self, dies_before=None, error=None):
        self.dies_before, self.error = dies_before, error
        self.identity = {"name": "fake"}
        self.asked = []
        self.starts = 0

    def start(self, on_event):
        self.starts += 1

    def describe(self):
        return {"name": self.name}

    def generate(self, requests, on_reply):
        for number, request in enumerate(requests):
            if number == self.dies_before:
                raise self.error
            self.asked.append(request.case_id)
            on_reply(request, Reply("yes", token_ids=(1,), finish_reason="stop"))

    def close(self):
        pass


class World:
    def __init__(self, folder):
        self.folder = folder
        self.home = Home(folder / "home")
        self.reports = folder / "reports"
        self.base = make_base(folder / "base")
        self.adapter = folder / "adapter"
        self.trainings = 0
        write_adapter(self.adapter, self.base, 0.5)
        self.config = self.write("train.yml", YAML)
        self.rows = self.write("rows.jsonl", "")
        self.write_rows("one", "two", "three")

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def write_rows(self, *answers):
        rows = [[("user", f"question {n}"), ("assistant", text)] for n, text in enumerate(answers)]
        lines = [json.dumps({"messages": [{"role": role, "content": text} for role, text in row]}) for row in rows]
        self.write("rows.jsonl", "\n".join(lines) + "\n")

    def replace(self, name, old, new):
        """Change ``old`` into ``new`` in a file, wherever it stands."""
        file = self.folder / name
        content = file.read_bytes()
        assert old.encode() in content
        file.write_bytes(content.replace(old.encode(), new.encode()))

    def request(self, **changes):
        return RunRequest(**{"home": self.home, "reports": self.reports, "config": load_config(self.config), **changes})

    def resolve(self, **changes):
        return resolve_target(self.request(**changes), self._train, lambda event: None)

    def _train(self, job, train_rows, val_rows, out, on_event):
        self.trainings += 1
        write_adapter(out, self.base, 0.5)
        return {"steps": 2}

    def session(self, engine=None, **changes):
        """Return a session over the base, or what ``changes`` say."""
        request = self.request(**{"config": None, "base_only": True, "base_model": str(self.base), **changes})
        factory = lambda target, request: engine or FakeEngine()  # noqa: E731
        return JobSession(request, on_event=lambda event: None, trainer=self._train, engine_factory=factory)
