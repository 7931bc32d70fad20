"""The main job through pytest, with nothing faked: real training, real servers, a real small model.

Starting vLLM takes half a minute, so the tests share few sessions; each fixture is one of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import jsonschema
import pytest
from main_job_world import CAPITALS, SCHEMA, STEPS, World

from harness.config import load_config

pytestmark = pytest.mark.e2e

HEAVY = {"torch", "transformers", "openai", "vllm", "peft", "accelerate", "bitsandbytes", "datasets"}
COMPLETED = (0, 1)
CASES = len(CAPITALS)
QLORA = "--train-config=qlora.yml"
INT8 = "--train-config=int8.yml"


@pytest.fixture(scope="module")
def world(base, tmp_path_factory):
    made = World(tmp_path_factory.mktemp("project"), base)
    yield made
    made.close()


@pytest.fixture(scope="module")
def first(world):
    """QLoRA from nothing: trains, serves base and adapter, two workers."""
    ended = world.run(QLORA, "--baseline=base", "-n", "2")
    assert ended.code in COMPLETED, ended.output
    return ended


def test_it_trains_once_and_the_adapter_knows_by_heart_what_the_base_does_not(first, world):
    assert first.output.count(f"training on {CASES} rows") == 1
    assert len(world.adapters) == 1
    for test in ("test_is_json", "test_city"):
        base, adapter = first.passed(test, run=-2), first.passed(test)
        assert adapter >= CASES - 2, first.output
        assert base <= adapter - 4, first.output


def test_it_is_vllm_that_serves_and_the_adapter_is_seen_to_be_applied(first):
    assert first.started("vllm.entrypoints.openai.api_server")
    manifest = first.manifest
    assert manifest["engine"]["engine"] == "vllm"
    assert manifest["adapter_applied"]["place"] == pytest.approx(1, abs=0.1)


def test_the_manifest_says_what_was_run(first, world):
    manifest = first.manifest
    assert (manifest["status"], manifest["kind"]) == ("finished", "trained")
    assert all(manifest["hashes"].values())
    assert {"ft-harness", "torch", "peft", "bitsandbytes", "transformers"} <= set(manifest["versions"])
    assert manifest["config"] == json.loads(json.dumps(load_config(world.folder / "qlora.yml").resolved()))
    training = manifest["training"]
    assert (training["in_this_run"], training["steps"]) == (True, STEPS)
    rates = training["tokens_per_second"]
    assert rates["all"] > rates["non_pad"] > rates["trained"] > 0
    assert manifest["generation"][0]["generated"] == CASES
    assert manifest["generation"][0]["completion_tokens"] > CASES


def test_the_base_is_quantised_to_nf4_twice(first, world):
    record = json.loads((world.folder / "out" / "harness.json").read_text(encoding="utf-8"))
    assert record["adapter"]["kind"] == "qlora"
    job = record["job"]
    assert (job["load_in_4bit"], job["bnb_4bit_quant_type"], job["bnb_4bit_use_double_quant"]) == (True, "nf4", True)


def test_every_verdict_is_written_and_every_failure_with_what_it_takes_to_replay_it(first):
    for run in (-2, -1):
        outcomes = first.outcomes(run)
        assert set(outcomes) == {f"{test}[{case}]" for test in ("test_is_json", "test_city") for case in CAPITALS}
        failed = sum(outcome == "fail" for outcome in outcomes.values())
        failures = first.rows("failures.jsonl", run) if failed else []
        assert len(failures) == failed
        for row in failures:
            assert row["case"]["expected"] == {"city": CAPITALS[row["case"]["id"]]}
            assert row["generation"]["prompt_token_ids"]


@pytest.mark.parametrize("comment", ["", "# nothing that counts\n"], ids=["unchanged", "comment"])
def test_again_nothing_is_trained_served_or_loaded(first, world, comment):
    config = world.folder / "qlora.yml"
    config.write_text(comment + config.read_text(encoding="utf-8"), encoding="utf-8")
    again = world.run(QLORA, "--baseline=base", "-n", "2")
    assert again.code == first.code, again.output
    for run in (-2, -1):
        assert again.outcomes(run) == first.outcomes(run)
        assert again.manifest_of(run)["generation"][0]["generated"] == 0
    assert again.manifest["training"]["in_this_run"] is False
    for process in ("harness.training.child", "harness.models.merge_child", "vllm.entrypoints"):
        assert first.started(process)
        assert not again.started(process)
    assert "openai" in first.modules
    assert again.modules.isdisjoint(HEAVY)


def test_the_adapters_copy_has_the_replies_of_the_training(first, world):
    """The config beside it says how to decode; alone, the adapter is asked with the default of max_tokens."""
    ended = world.run("--adapter=out", QLORA)
    assert ended.outcomes() == first.outcomes()
    assert ended.manifest["kind"] == "adapter"
    assert ended.manifest["generation"][0]["reused"] == CASES


def test_replies_of_a_run_are_judged_again_without_a_model(first, world):
    failures = first.runs[-2] / "failures.jsonl"
    failed = {name: outcome for name, outcome in first.outcomes(-2).items() if outcome == "fail"}
    ended = world.run(f"--generations={failures}")
    assert {name: outcome for name, outcome in ended.outcomes().items() if name in failed} == failed
    assert ended.modules.isdisjoint(HEAVY)


@dataclass(frozen=True)
class Killed:
    """The rows of stored replies before a run that was killed, and after."""

    before: dict[int, str]
    after: dict[int, str]

    @property
    def landed(self) -> int:
        return len(self.after) - len(self.before)


@pytest.fixture(scope="module")
def killed(first, world):
    """Guided replies of the base, one at a time, cut short with SIGKILL."""
    before = world.stored_replies()
    command = world.pytest(QLORA, "--base-only", "--decode=grammar", "--set=serve.max_concurrency=1")
    command.wait_until(lambda: len(world.stored_replies()) >= len(before) + 3)
    command.process.kill()
    command.wait()
    assert any("VLLM::" in line or "vllm.entrypoints" in line for line in command.commands)
    assert command.left() == []
    found = Killed(before, world.stored_replies())
    assert 3 <= found.landed < CASES, "it was to be killed half way"
    return found


def test_ctrl_c_while_the_engine_starts(killed, world):
    command = world.pytest(QLORA, "--base-only", "--decode=grammar")
    command.wait_until(lambda: any("vllm.entrypoints" in line for line in command.commands))
    command.interrupt()
    assert command.wait() == 2, command.text
    assert command.left() == []
    assert world.locked == []
    assert world.stored_replies() == killed.after


@pytest.fixture(scope="module")
def resumed(killed, world):
    """What was killed, run again, beside the free replies of the base."""
    return world.run(QLORA, "--base-only", "--decode=both")


def test_after_a_kill_every_stored_reply_is_reused(killed, resumed, world):
    assert resumed.code in COMPLETED, resumed.output
    figures = resumed.manifest["generation"][0]
    assert (figures["reused"], figures["generated"]) == (killed.landed, CASES - killed.landed)
    stored = world.stored_replies()
    assert len(stored) == len(killed.before) + CASES
    assert stored.items() >= killed.after.items()


def test_guided_replies_fit_the_schema_where_free_ones_of_the_same_model_do_not(first, killed, resumed, world):
    guided = [json.loads(body) for row, body in world.stored_replies().items() if row not in killed.before]
    assert [reply["decoding"]["mode"] for reply in guided] == ["grammar"] * CASES
    for reply in guided:
        jsonschema.validate(json.loads(reply["text"]), SCHEMA)
    assert resumed.passed("test_is_json") == CASES
    assert resumed.outcomes(-2) == first.outcomes(-2)
    assert resumed.passed("test_is_json", run=-2) < CASES


@pytest.fixture(scope="module")
def interrupted(world):
    """A training on an 8-bit base, interrupted with Ctrl-C."""
    command = world.pytest(INT8, "-n", "2")
    command.wait_until(command.says("step 1/"))
    assert world.locked, "what is being trained is locked"
    command.interrupt()
    return command, command.wait()


def test_ctrl_c_during_training_leaves_nothing(interrupted, world):
    command, code = interrupted
    assert code == 2, command.text
    assert any("harness.training.child" in line for line in command.commands)
    assert command.left() == []
    assert world.locked == []


@pytest.fixture(scope="module")
def int8(interrupted, world):
    """What was interrupted, run again: LoRA on an 8-bit base, served by transformers."""
    ended = world.run(INT8)
    assert ended.code in COMPLETED, ended.output
    return ended


def test_an_8_bit_base_trains_and_transformers_serves_it(int8):
    manifest = int8.manifest
    assert (manifest["training"]["in_this_run"], manifest["training"]["steps"]) == (True, STEPS)
    assert manifest["config"]["load_in_8bit"] is True
    assert (manifest["engine"]["engine"], manifest["engine"]["adapter"]) == ("transformers", "lora")
    assert int8.started("harness.serving.transformers_server")
    assert int8.passed("test_city") >= CASES - 2, int8.output


def test_a_served_adapter_is_tested_as_an_endpoint(int8, world):
    """Its chat completions come to the verdicts of the main job, which sends token ids."""
    adapter = int8.manifest["adapter"]
    server = world.start("harness", "serve", adapter["path"], "--engine=transformers")
    server.wait_until(server.says("Ctrl-C stops it."))
    said = dict(line.split(maxsplit=1) for line in server.text.splitlines() if line.startswith(("serving ", "key: ")))
    url, name = said["serving"].rpartition(" ")[2], f"adapter-{adapter['content_hash'][:8]}"
    ended = world.run(f"--endpoint={url}", f"--model={name}", INT8, OPENAI_API_KEY=said["key:"])
    assert ended.code in COMPLETED, ended.output
    assert ended.outcomes() == int8.outcomes()
    assert ended.manifest["generation"][0]["generated"] == CASES
    server.interrupt()
    assert server.wait() == 0, server.text
    assert server.left() == []
