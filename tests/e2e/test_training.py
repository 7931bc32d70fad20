"""Real training of the real small model, through the real launcher."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from training_world import World, weights

from harness.errors import TrainingError
from harness.models import CANARY, HARNESS_FILE, merge_adapter, read_adapter
from harness.types import to_json

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world(tmp_path_factory, base):
    return World(tmp_path_factory.mktemp("world"), base)


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """The adapter of the plain config, trained while the user's own Accelerate config is poisonous."""
    poisoned = tmp_path_factory.mktemp("hf")
    (poisoned / "accelerate").mkdir()
    (poisoned / "accelerate" / "default_config.yaml").write_text("no_such_key: {")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(poisoned))
        return world.train()


def figures(adapter):
    return json.loads((adapter.path / HARNESS_FILE).read_text())["figures"]


def test_the_loss_falls(world, trained):
    found = figures(trained)
    assert found["steps"] == 4
    assert found["losses"][-1] < 0.7 * found["losses"][0]
    assert found["modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert 0.01 < found["share"] < 0.03
    names = [event["event"] for event in world.events]
    assert names[0] == "start"
    assert names.count("step") == 4
    assert names[-1] == "end"


def test_it_belongs_to_its_base(world, trained, base):
    assert read_adapter(trained.path, base, world.home) == trained
    assert trained.base_hash == base.content_hash


def test_merged_it_differs_from_the_base(world, trained, base):
    folder = merge_adapter(base, trained, world.home, dtype="bfloat16", on_event=world.events.append)
    canary = json.loads((folder / CANARY).read_text())
    pairs = zip(canary["base_logprobs"], canary["merged_logprobs"], strict=True)
    assert max(abs(a - b) for before, after in pairs for a, b in zip(before, after, strict=True)) > 0.5
    assert (folder / "tokenizer.json").read_bytes() == (base.path / "tokenizer.json").read_bytes()


def test_a_damaged_entry_is_trained_anew_to_the_same_bytes(world, trained):
    """Two fresh processes, bit by bit the same adapter; without the damage nothing is trained."""
    before = weights(trained)
    file = trained.path / "adapter_model.safetensors"
    world.events.clear()
    assert world.train() == trained
    assert world.events == []
    file.chmod(0o644)
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    again = world.train()
    assert "is damaged and will be built anew" in world.events[0]["message"]
    assert [event["event"] for event in world.events].count("step") == 4
    assert weights(again) == before


def test_another_seed_gives_another_adapter(world, trained):
    other = world.train("seed=8", "data_seed=7", "max_steps=1")
    one_step = world.train("max_steps=1")
    assert weights(other) != weights(one_step)


@pytest.mark.parametrize(
    ("overrides", "kind"),
    [(("adapter=qlora", "gradient_checkpointing=true"), "qlora"), (("load_in_8bit=true",), "lora")],
)
def test_quantised_bases_train(world, overrides, kind):
    adapter = world.train("max_steps=3", "optimizer=adamw_bnb_8bit", *overrides)
    assert adapter.kind == kind
    found = figures(adapter)
    assert found["losses"][-1] < 0.9 * found["losses"][0]


@contextmanager
def file_size_limit(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_space_to_save_leaves_no_half_entry(tmp_path, base):
    world = World(tmp_path / "full", base)
    with file_size_limit(2_000_000), pytest.raises(TrainingError, match="training could not save"):
        world.train("max_steps=1")
    assert world.entries() == []
    assert "Traceback" not in str(world.events)


def test_a_killed_child_is_reported_and_its_checkpoints_are_used(tmp_path, world, trained, base):
    other = World(tmp_path / "killed", base)
    overrides = ("save_steps=1", "auto_resume_from_checkpoints=true", f"output_dir={tmp_path}/out")

    def kill(event):
        if event["event"] == "save" and event["step"] == 2:
            for process in psutil.Process().children(recursive=True):
                line = process.cmdline()
                if "harness.training.child" in line and "accelerate.commands.launch" not in line:
                    process.send_signal(signal.SIGKILL)

    with pytest.raises(
        TrainingError, match=r"killed \(SIGKILL\): most likely the machine ran out of memory\. Lower micro"
    ):
        other.train(*overrides, on_event=kill)
    assert other.entries() == []
    resumed = other.train(*overrides)
    assert [event["step"] for event in other.events if event["event"] == "resume"] in ([2], [3])
    assert weights(resumed) == weights(trained), "an interrupted run ends where an uninterrupted one does"


def test_killing_the_parent_leaves_no_child(tmp_path, base):
    folder = tmp_path / "orphans"
    folder.mkdir()
    program = Path(__file__).with_name("training_parent.py")
    argv = [sys.executable, str(program), str(folder), json.dumps(to_json(base))]
    assert subprocess.run(argv, check=False, env=os.environ).returncode == -signal.SIGKILL
    pids = json.loads((folder / "pids.json").read_text())
    assert len(pids) >= 3, "supervisor, launcher and child"
    deadline = time.monotonic() + 20
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, pids))
    assert list(World(folder, base).home.adapters.glob("[0-9a-f]*")) == []
