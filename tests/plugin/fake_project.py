"""Written into the tested project as its ``conftest.py``: an engine and a trainer that need no model.

What the engine does is said in ``fake.json``; what it did is written to ``fake.log``, a line each.
"""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from harness.errors import EngineError
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
                os.kill(os.getpid(), 9)
            if "hang_after" in script and script["hang_after"] == number:
                log("hanging")
                time.sleep(600)
            log(f"request {request.case_id} {request.repeat} {request.decoding.mode} {bool(request.grammar)}")
            on_reply(request, self.answer(request, script))

    def answer(self, request, script):
        if request.case_id in script.get("refuse", ()):
            return Reply("", finish_reason="error", error="the prompt is too long")
        default = script.get("default", "{}")
        replies = script.get("base_replies", {}) if self.target.kind == "base" else script.get("replies", {})
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


def pytest_ft_engine(config, target):
    return FakeEngine(target)


def pytest_runtest_teardown(item):
    if plan().get("report_modules"):
        (HERE / "modules.json").write_text(json.dumps(sorted(sys.modules)))


@pytest.fixture
def pid():
    return os.getpid()
