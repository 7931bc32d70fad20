"""Written into the tested project as its ``conftest.py``: an engine and a trainer that need no model.

What the engine does is said in ``fake.json``; what it did is written to ``fake.log``, a line each.
"""

import json
import os
import struct
import sys
import time
from pathlib import Path

import pytest

from harness.errors import EngineError, TrainingError
from harness.process import Child
from harness.types import Reply

HERE = Path(__file__).parent


def plan():
    path = HERE / "fake.json"
    return json.loads(path.read_text()) if path.exists() else {}


def log(line):
    with (HERE / "fake.log").open("a") as file:
        file.write(f"{line}\n")


class FakeEngine:
    name = "fake"

    def __init__(self, target):
        self.target = target
        self.child = None
        self.wants_ids = plan().get("wants_ids", False)

    @property
    def identity(self):
        return {"name": "fake", "version": plan().get("version", 1)}

    def start(self, on_event):
        log(f"start {os.getpid()}")
        on_event({"event": "engine_starting", "engine": "fake"})
        if plan().get("fail_start"):
            raise EngineError("the fake engine did not come up", ["its last words"])
        if plan().get("child"):
            argv = [sys.executable, "-c", "import time; time.sleep(600)"]
            self.child = Child.start(argv, name="fake engine", log=HERE / "child.log", grace=1.0)
            log(f"child {self.child.pid}")
        on_event({"event": "engine_ready", "engine": "fake", "seconds": 0.1})

    def describe(self):
        return {"name": "fake"}

    def generate(self, requests, on_reply):
        log(f"generate {len(requests)}")
        script = plan()
        for number, request in enumerate(requests):
            if script.get("die_after") == number:
                raise EngineError("the fake engine died", ["out of cheese"])
            if script.get("kill_after") == number:
                time.sleep(0.5)
                os.kill(os.getpid(), 9)
            if "hang_after" in script and script["hang_after"] == number:
                log("hanging")
                time.sleep(600)
            time.sleep(script.get("pause", 0))
            log(f"request {request.case_id} {request.repeat} {request.decoding.mode} {bool(request.grammar)}")
            on_reply(request, self.answer(request, script))

    def answer(self, request, script):
        if request.case_id in script.get("refuse", ()):
            return Reply("", finish_reason="error", error="the prompt is too long")
        default = script.get("default", "{}")
        replies = script.get("replies", {})
        if self.target.kind == "base":
            replies = script.get("base_replies", replies)
        text = replies.get(request.case_id, default)
        if request.decoding.mode == "grammar":
            text = script.get("grammar_replies", {}).get(request.case_id, text)
        return Reply(text, token_ids=(1, 2), finish_reason="stop", completion_tokens=2)

    def score(self, token_ids, *, base=False):
        return [-1.0 if base else -2.0] * (len(token_ids) - 1)

    def close(self):
        if self.child is not None:
            self.child.stop()
        log("close")


def write_adapter(folder, base, value):
    """Write a LoRA adapter over the tiny base, in peft's layout; ``value`` fills its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(base)}))
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    tensor = struct.pack("<f", value) * 8
    header = {
        name.format("A"): {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]},
        name.format("B"): {"dtype": "F32", "shape": [4, 2], "data_offsets": [32, 64]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + tensor + tensor)


def train(job, train_rows, val_rows, out, on_event):
    log(f"train {len(train_rows)}")
    on_event({"event": "start", "rows": len(train_rows), "steps": 2})
    for step in (1, 2):
        on_event({"event": "step", "step": step, "steps": 2, "loss": 1.0 / step, "tokens_per_second": 100.0})
    if plan().get("fail_training"):
        raise TrainingError("the loss is not finite", ["step 2: nan"])
    write_adapter(Path(out), job.base_ref, plan().get("weight", 0.5))
    return {"steps": 2, "seconds": 0.1}


def pytest_ft_engine(config, target):
    return FakeEngine(target)


def pytest_ft_trainer(config):
    return train


def pytest_runtest_teardown(item):
    if plan().get("report_modules"):
        (HERE / "modules.json").write_text(json.dumps(sorted(sys.modules)))


@pytest.fixture
def pid():
    return os.getpid()
