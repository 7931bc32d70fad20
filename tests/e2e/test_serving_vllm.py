"""The real vLLM with the real small model, in float32, where rounding leaves argmax alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import psutil
import pytest
from serving_world import GRAMMARS, SCHEMA, World, build, generate, quiet

from harness.errors import EngineError
from harness.serving import chat_stream, check_applied
from harness.types import Decoding, Grammar, Request, to_json

pytestmark = pytest.mark.e2e
pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def world(base, tmp_path_factory) -> World:
    return build(base, tmp_path_factory.mktemp("serving"))


@pytest.fixture(scope="module")
def engine(world, tmp_path_factory):
    engine = world.engine(tmp_path_factory.mktemp("work"), engine="vllm", adapter="merged")
    engine.start(quiet)
    yield engine
    engine.close()


def test_the_merged_adapter_is_recognised(engine, world):
    canary = world.canary()
    figures = check_applied(engine, canary["ids"], canary["base_logprobs"], canary["merged_logprobs"])
    assert figures["place"] == pytest.approx(1, abs=0.05)
    assert figures["difference"] > 0.1


def test_logprobs_equal_the_references(engine, world):
    for ids, expected in zip(world.prompts, world.reference["adapter_scores"], strict=True):
        assert engine.score(ids) == pytest.approx(expected, abs=0.01)


def test_greedy_replies_do_not_depend_on_what_they_are_batched_with(engine, world):
    requests = [world.request(number, max_tokens=32) for number in range(6)]
    alone = [generate(engine, [request])[str(number)] for number, request in enumerate(requests)]
    crowd = [world.request(number % 6, case=f"other {number}", max_tokens=8 + number) for number in range(58)]
    crowded = generate(engine, [*crowd[:29], *requests, *crowd[29:]])
    for number in range(6):
        assert crowded[str(number)].token_ids == alone[number].token_ids
        assert crowded[str(number)].prompt_token_ids == tuple(world.prompts[number])


def test_greedy_replies_follow_the_reference(engine, world):
    found = generate(engine, [world.request(number) for number in range(6)])
    same = [found[str(n)].token_ids == tuple(world.reference["greedy"][n]) for n in range(6)]
    assert sum(same) >= 5, [(found[str(n)].token_ids, world.reference["greedy"][n]) for n in range(6)]


def test_a_reply_ends_with_the_stop_token_and_its_text_does_not(engine, world):
    request = Request(**{**vars(world.request(0)), "grammar": Grammar("choice", '["Paris"]')})
    reply = generate(engine, [request])["0"]
    assert reply.text == "Paris"
    assert reply.token_ids[-1] == world.stop
    assert (reply.finish_reason, reply.completion_tokens) == ("stop", len(reply.token_ids))


@pytest.mark.parametrize("kind", GRAMMARS)
def test_grammars_bind(engine, world, kind):
    replies = generate(engine, [world.request(n, GRAMMARS[kind], max_tokens=64) for n in range(6)])
    for reply in replies.values():
        assert reply.error is None
        assert reply.finish_reason == "stop"
        assert fits(kind, reply.text), reply.text


def fits(kind: str, text: str) -> bool:
    if kind == "json":
        jsonschema.validate(json.loads(text), SCHEMA)
        return True
    if kind == "choice":
        return text in json.loads(GRAMMARS["choice"].text)
    return re.fullmatch(GRAMMARS["regex"].text if kind == "regex" else r"<[0-9]\|[0-9]>", text) is not None


def test_refused_requests_do_not_touch_the_others(engine, world):
    unsupported = Grammar("json", '{"type": "array", "uniqueItems": true}')
    long = Request(**{**vars(world.request(0, case="long")), "prompt_ids": tuple(world.prompts[0] * 40)})
    beams = world.request(0, case="beams", beams=3)
    found = generate(engine, [world.request(1, unsupported), world.request(2), long, beams])
    assert "uniqueItems" in found["1"].error
    assert found["2"].error is None
    assert "max_model_len" in found["long"].error
    assert "transformers" in found["beams"].error


def test_sampling_is_repeatable_and_a_repeat_is_another_draw(engine, world):
    def draw(repeat):
        request = Request(**{**vars(world.request(2, temperature=1.0, max_tokens=24)), "repeat": repeat})
        return generate(engine, [request])["2"].token_ids

    assert draw(0) == draw(0)
    assert len({draw(repeat) for repeat in range(4)}) > 1


def test_streamed_text_is_the_replys_text(engine, world):
    whole = generate(engine, [world.request(2)])["2"].text
    pieces = list(chat_stream(engine, world.prompts[2], [world.stop], Decoding(max_tokens=16)))
    assert "".join(pieces) == whole
    assert len(pieces) > 3


def test_the_death_of_the_engine_behind_the_server_is_told(engine, world):
    """The last test on this server: a worker is killed while requests are under way."""
    workers = [
        process
        for process in psutil.Process(engine.server.child.pid).children(recursive=True)
        if "VLLM::" in " ".join(process.cmdline())
    ]
    assert workers
    landed = []

    def kill_at_the_first(request, reply):
        if not landed:
            workers[-1].kill()
        landed.append(request.case_id)

    requests = [world.request(n % 6, case=str(n), max_tokens=200) for n in range(300)]
    with pytest.raises(EngineError) as caught:
        engine.generate(requests, kill_at_the_first)
    assert landed
    assert caught.value.tail
    engine.close()
    assert not any(process.is_running() for process in workers)


@pytest.fixture
def run_parent(world, tmp_path):
    """Start a run of its own; it is killed when the test ends, however it ends."""
    started = []

    def run(**job) -> tuple[subprocess.Popen[bytes], Path]:
        out = tmp_path / "told.json"
        data = {"base": to_json(world.base), "adapter": to_json(world.adapter), "out": str(out), "engine": "vllm"}
        (tmp_path / "job.json").write_text(json.dumps(data | job), encoding="utf-8")
        script = Path(__file__).with_name("serving_parent.py")
        started.append(subprocess.Popen([sys.executable, str(script), str(tmp_path / "job.json")]))
        return started[-1], out

    yield run
    for process in started:
        process.kill()
        process.wait()


def told(process: subprocess.Popen[bytes], out: Path) -> dict:
    while not out.exists():
        assert process.poll() is None, "the parent ended before it had something to tell"
        time.sleep(0.1)
    return json.loads(out.read_text(encoding="utf-8"))


def all_gone(pids: list[int]) -> bool:
    """Whether every process is gone, given the time that ending takes."""
    for _ in range(300):
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
            return True
        time.sleep(0.1)
    return False


def test_the_base_in_the_adapters_place_is_found_out_and_a_killed_parent_leaves_nothing(engine, world, run_parent):
    engine.close()  # one vLLM at a time
    process, out = run_parent(mode="merged", canary=world.canary(), foreground=False)
    what = told(process, out)
    assert "the adapter is not applied" in what["error"]
    assert len(what["family"]) >= 4  # supervisor, API server, engine core, worker
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert all_gone(what["family"])


def test_lora_beside_its_base(engine, world, tmp_path):
    engine.close()
    both = world.engine(tmp_path, engine="vllm", adapter="lora")
    both.start(quiet)
    try:
        figures = check_applied(both, world.prompts)
        assert figures["served"] == "lora"
        for ids, adapted, plain in zip(
            world.prompts, world.reference["adapter_scores"], world.reference["base_scores"], strict=True
        ):
            assert both.score(ids) == pytest.approx(adapted, abs=0.01)
            assert both.score(ids, base=True) == pytest.approx(plain, abs=0.01)
    finally:
        both.close()


def test_foreground_answers_chat_clients_and_ends_with_ctrl_c(engine, world, run_parent):
    from openai import AuthenticationError, OpenAI

    engine.close()
    turn = "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    template = "{% for m in messages %}" + turn + "{% endfor %}{{ '<|im_start|>assistant\n' }}"
    process, out = run_parent(mode="lora", foreground=True, template=template, stop_ids=[world.stop])
    what = told(process, out)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    with OpenAI(base_url=what["url"], api_key=what["key"]) as client:
        reply = client.chat.completions.create(model=what["models"][0], messages=messages, temperature=0, max_tokens=16)
        assert "Paris" in reply.choices[0].message.content
        assert reply.usage.prompt_tokens == len(world.prompts[0])
    with OpenAI(base_url=what["url"], api_key="guess", max_retries=0) as stranger, pytest.raises(AuthenticationError):
        stranger.models.list()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert all_gone(what["family"])
