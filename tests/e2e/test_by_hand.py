"""The commands a user types by hand, with the real small model: train, merge, chat, and a child that is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from training_world import CAPITALS, YAML

pytestmark = pytest.mark.e2e

QUESTION = "Capital of France?"


class Hand:
    """A user's folder, and the ``harness`` command in it."""

    def __init__(self, folder, base):
        self.folder = folder
        rows = [
            {
                "messages": [
                    {"role": "user", "content": f"Capital of {country}?"},
                    {"role": "assistant", "content": city},
                ]
            }
            for country, city in CAPITALS.items()
        ]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "train.yml").write_text(
            YAML.format(base=base.path).replace("max_steps: 4", "max_steps: 12") + "output_dir: ./out\n"
        )

    def start(self, *arguments, **options):
        script = Path(sys.executable).with_name("harness")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        env = {**os.environ, "HARNESS_HOME": str(self.folder / "home"), "TMPDIR": str(self.temporary)}
        return subprocess.Popen([script, *arguments], cwd=self.folder, env=env, text=True, **pipes, **options)

    def run(self, *arguments, typed=""):
        process = self.start(*arguments)
        out, err = process.communicate(typed, timeout=120)
        assert not [line for line in err.splitlines() if line.startswith("Traceback")]
        return process.returncode, out, err

    @property
    def temporary(self):
        made = self.folder / "tmp"
        made.mkdir(exist_ok=True)
        return made

    @property
    def leftovers(self):
        return list(self.temporary.glob("harness-*"))

    @property
    def adapters(self):
        return [path for path in (self.folder / "home" / "adapters").glob("*") if path.is_dir()]


@pytest.fixture(scope="module")
def hand(tmp_path_factory, base):
    return Hand(tmp_path_factory.mktemp("hand"), base)


@pytest.fixture(scope="module")
def trained(hand):
    """What ``harness train`` said; the adapter lies in ``out``."""
    return hand.run("train", "train.yml")


def test_debug_goes_through_and_keeps_nothing(hand):
    code, out, err = hand.run("train", "train.yml", "--debug", "--set", "output_dir=./debug")
    assert code == 0, err
    assert out.startswith("4 steps on 6 rows went through; nothing was kept\n")
    assert "step 4/4  loss " in err
    assert not (hand.folder / "debug").exists()
    assert hand.adapters == []
    assert hand.leftovers == []


def test_two_rows_are_learned_by_heart(hand):
    code, out, err = hand.run("train", "train.yml", "--overfit", "2", "--set", "output_dir=./heart")
    assert code == 0, err
    assert out.startswith("2 of 2 rows are known by heart: it learns by heart\n")
    assert "  token_accuracy: 1\n" in out
    assert not (hand.folder / "heart").exists()
    assert hand.adapters == []


def test_a_model_that_cannot_learn_ends_with_exit_code_1(hand):
    code, out, _ = hand.run("train", "train.yml", "--overfit", "1", "--set", "learning_rate=1e-9")
    assert code == 1
    assert out.startswith("0 of 1 rows are known by heart: it does NOT learn by heart: look at rows and masks\n")


@pytest.mark.parametrize("how", [["--overfit", "2"], ["--debug"], ["--force"]])
def test_a_killed_training_is_told_with_the_signal(hand, how):
    process = hand.start("train", "train.yml", *how, "--set", "lora_r=4", "--set", "output_dir=./killed")
    _training_child(process).kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 11
    assert "error: training was killed (SIGKILL): most likely the machine ran out of memory" in err
    assert "Lower micro_batch_size" in err
    assert not [line for line in err.splitlines() if line.startswith("Traceback")], "only the child's, quoted"
    assert out == ""
    assert hand.leftovers == []
    assert not (hand.folder / "killed").exists()


def _training_child(command):
    """Wait for the process that trains: the launcher's child."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in psutil.Process(command.pid).children(recursive=True):
            try:
                argv = process.cmdline()
            except psutil.Error:
                continue
            if "harness.training.child" in argv and "accelerate.commands.launch" not in argv:
                return process
        time.sleep(0.02)
    raise AssertionError("no training was started")


def test_ctrl_c_ends_the_training_and_says_so(hand):
    process = hand.start("train", "train.yml", "--debug", start_new_session=True)
    child = _training_child(process)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert hand.leftovers == []


def test_train_leaves_the_adapter_in_the_output_folder(hand, trained):
    code, out, err = trained
    assert code == 0, err
    assert "training on 6 rows, 12 steps" in err
    record = json.loads((hand.folder / "out" / "harness.json").read_text())
    assert out.startswith(f"adapter {record['adapter']['content_hash'][:12]} in {hand.folder / 'out'}\n")
    assert record["figures"]["losses"][-1] < record["figures"]["losses"][0]
    assert hand.run("train", "train.yml")[1:] == (out, ""), "found, not trained again"


def test_merge_writes_a_model_that_is_no_longer_the_base(hand, trained, base):
    code, out, err = hand.run("merge", "out", "merged/capitals")
    assert code == 0, err
    merged = hand.folder / "merged" / "capitals"
    assert "wrote merged/capitals: " in out
    assert {"config.json", "model.safetensors", "tokenizer.json", "manifest.json"} <= {p.name for p in merged.iterdir()}
    record = json.loads((hand.folder / "out" / "harness.json").read_text())["adapter"]
    assert json.loads((merged / "manifest.json").read_text())["base"]["content_hash"] == record["base_hash"]
    assert (merged / "model.safetensors").read_bytes() != (base.path / "model.safetensors").read_bytes()
    assert [path.name for path in merged.parent.iterdir()] == ["capitals"]
    assert (merged / "chat_template.jinja").read_text() == record["template"]
    again = hand.run("merge", "out", "merged/capitals")
    assert again[0] == 2
    assert "exists already, nothing was written" in again[2]


def test_chat_shows_base_beside_adapter_and_takes_commands(hand, trained):
    typed = f"{QUESTION}\n/prompt\n/reset\n/prompt\n/what\n/quit\nnever asked\n"
    code, out, err = hand.run(
        "chat", "out", "--engine", "transformers", "--base", "--max-tokens", "12", "--show-prompt", typed=typed
    )
    assert code == 0, err
    base_reply, adapted = _reply(out, "[base]"), _reply(out, "[adapter ")
    assert base_reply != adapted
    assert adapted.startswith("Paris")
    assert out.count("[base]") == 1
    assert f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n" in out
    assert "error: " in out, "/prompt has nothing to show after /reset, and the chat goes on"
    assert "/quit ends" in out.split("/reset starts anew")[2]
    assert "never asked" not in out


def _reply(out, heading):
    """The line below the first ``heading``."""
    lines = out.splitlines()
    return lines[next(n for n, line in enumerate(lines) if line.startswith(heading)) + 1]


def test_one_message_is_answered_and_the_command_ends(hand, trained):
    code, out, err = hand.run("chat", "out", "--engine", "transformers", "-m", QUESTION, "--max-tokens", "8")
    assert code == 0, err
    assert out.splitlines()[0].startswith("[adapter ")
    assert "Paris" in out.splitlines()[1]
