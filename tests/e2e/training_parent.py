"""Run as a program: starts a real training and is killed while it runs (arguments: folder, base as JSON)."""

import json
import os
import signal
import sys
from pathlib import Path

import psutil
from training_world import World

from harness.types import Base


def die(event):
    if event["event"] == "start":
        pids = [child.pid for child in psutil.Process().children(recursive=True)]
        (Path(sys.argv[1]) / "pids.json").write_text(json.dumps(pids))
        os.kill(os.getpid(), signal.SIGKILL)


World(Path(sys.argv[1]), Base.from_json(json.loads(sys.argv[2]))).train(on_event=die)
