"""The part that vLLM and transformers share, on a real child process with a stub in the model's place."""

from __future__ import annotations

import dataclasses
import os
import socket
import stat
import time
from pathlib import Path

import psutil
import pytest
from serving_fakes import StubEngine

from harness.errors import EngineError
from harness.protocols import Engine
from harness.serving import chat_stream
from harness.serving.server import _sweep
from harness.types import Decoding, Grammar, Request


def quiet(event):
    """Nobody listens."""


@pytest.fixture
def engine_of(plan, base, adapter, tmp_path):
    made = []

    def make(behaviour="answer", *, with_adapter=False, merged=None, **changes):
        engine = StubEngine(
            dataclasses.replace(plan, **changes),
            base,
            adapter if with_adapter else None,
            merged=merged,
            work=tmp_path / "w",
        )
        engine.behaviour = behaviour
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


def generate(engine, requests):
    found = {}
    engine.generate(requests, lambda request, reply: found.__setitem__(request.case_id, reply))
    return found


def with_grammar(request, kind, text):
    return Request(**{**vars(request), "grammar": Grammar(kind, text)})


def test_is_an_engine(engine_of):
    engine = engine_of()
    assert isinstance(engine, Engine)
    assert engine.wants_ids


def test_every_request_gets_its_own_reply(engine_of, make_request):
    engine = engine_of()
    events = []
    engine.start(events.append)
    found = generate(engine, [make_request(number) for number in range(30)])
    assert {case: reply.text for case, reply in found.items()} == {
        f"case-{number}": f"ids [100, 101, {102 + number}]" for number in range(30)
    }
    reply = found["case-4"]
    assert reply.token_ids == reply.prompt_token_ids == (100, 101, 106)
    assert (reply.finish_reason, reply.prompt_tokens, reply.completion_tokens) == ("stop", 3, 3)
    assert [event["event"] for event in events][:1] == ["engine_starting"]
    assert events[-1]["event"] == "engine_ready"
    assert engine.describe()["model"] == "base-bbbbbbbb"


def test_what_does_not_fit_is_refused_and_the_rest_is_answered(engine_of, make_request):
    engine = engine_of(max_model_len=20)
    engine.start(quiet)
    empty = Request(**{**vars(make_request(7)), "prompt_ids": ()})
    found = generate(engine, [make_request(0, max_tokens=17), make_request(1, max_tokens=18), empty])
    assert found["case-0"].error is None
    assert "prompt of 3 tokens + max_tokens 18 = 21 is more than serve.max_model_len 20" in found["case-1"].error
    assert "no tokens" in found["case-7"].error


def test_no_requests_are_no_work(engine_of):
    engine = engine_of()
    engine.start(quiet)
    assert generate(engine, []) == {}


def test_a_refused_grammar_is_the_requests_affair(engine_of, make_request):
    engine = engine_of()
    engine.start(quiet)
    good = with_grammar(make_request(0), "regex", "a+")
    bad = with_grammar(make_request(1), "json", '{"uniqueItems": true}')
    found = generate(engine, [good, bad])
    assert found["case-0"].error is None
    assert "uniqueItems" in found["case-1"].error


def test_a_server_that_ignores_grammars_is_found_out(engine_of, make_request):
    engine = engine_of("ignore grammar")
    engine.start(quiet)
    with pytest.raises(EngineError, match="does not enforce"):
        generate(engine, [with_grammar(make_request(), "regex", "a+")])


def test_a_failure_inside_a_living_server_is_the_requests_affair(engine_of, make_request):
    engine = engine_of("fail")
    engine.start(quiet)
    assert "the stub fails" in generate(engine, [make_request()])["case-0"].error


def test_death_at_the_start_is_told_with_its_cause_and_last_lines(engine_of):
    engine = engine_of("die at the start", start_timeout=600.0)
    with pytest.raises(EngineError) as caught:
        engine.start(quiet)
    text = str(caught.value)
    assert "ended while starting (exit code 3): out of memory" in text
    assert "serve.kv_cache_gib" in text
    assert "can't allocate memory" in caught.value.tail[-1]
    assert caught.value.returncode == 3


def test_lines_of_an_earlier_start_explain_nothing(engine_of):
    with pytest.raises(EngineError):
        engine_of("die at the start").start(quiet)
    engine = engine_of("never ready", start_timeout=1.0)
    with pytest.raises(EngineError, match=r"not ready after 1 s.*serve.start_timeout") as caught:
        engine.start(quiet)
    assert "allocate" not in str(caught.value)


def test_death_in_the_middle_keeps_what_landed(engine_of, make_request):
    engine = engine_of("die while answering")
    engine.start(quiet)
    landed = []
    with pytest.raises(EngineError, match="out of memory") as caught:
        engine.generate([make_request(n) for n in range(40)], lambda request, reply: landed.append(request.case_id))
    assert 1 <= len(landed) < 40
    assert "std::bad_alloc" in caught.value.tail[-1]


def test_a_killed_server_is_noticed(engine_of, make_request):
    engine = engine_of("hang")
    engine.start(quiet)
    for child in psutil.Process(engine.server.child.pid).children(recursive=True):
        child.kill()
    with pytest.raises(EngineError, match="exit code 137"):
        generate(engine, [make_request()])


def test_somebody_elses_server_is_not_taken_for_ours(engine_of):
    engine = engine_of()
    engine.listed = "base-of-another-run"
    with pytest.raises(EngineError, match=r"serves \['base-of-another-run'\] instead of \['base-bbbbbbbb'\]"):
        engine.start(quiet)


def test_scores(engine_of):
    engine = engine_of()
    engine.start(quiet)
    assert engine.score([7, 8, 9]) == [-0.008, -0.009]
    with pytest.raises(EngineError, match="max_model_len"):
        engine.score(range(100))


def test_lora_scores_both_models(engine_of):
    engine = engine_of(with_adapter=True, mode="lora")
    engine.start(quiet)
    assert engine.served_names == ["base-bbbbbbbb", "adapter-aaaaaaaa"]
    assert engine.score([7, 8]) == [-0.508]
    assert engine.score([7, 8], base=True) == [-0.008]


def test_merged_is_made_at_the_start_and_has_no_base_beside_it(engine_of, tmp_path):
    made = []
    engine = engine_of(with_adapter=True, mode="merged", merged=lambda: made.append(1) or tmp_path)
    assert not made
    engine.start(quiet)
    assert made == [1]
    with pytest.raises(EngineError, match=r"serve.adapter: lora"):
        engine.score([7, 8], base=True)


def test_merged_without_a_folder(engine_of):
    with pytest.raises(EngineError, match="merged folder"):
        engine_of(with_adapter=True, mode="merged").start(quiet)


def test_streaming(engine_of):
    engine = engine_of()
    engine.start(quiet)
    pieces = list(chat_stream(engine, [100, 101], [2], Decoding(max_tokens=1000)))  # cut to what fits
    assert "".join(pieces) == "ids [100, 101]"
    assert len(pieces) > 1
    with pytest.raises(EngineError, match="fill"):
        list(chat_stream(engine, range(64), [2], Decoding()))


def test_not_started(engine_of, make_request):
    engine = engine_of()
    with pytest.raises(EngineError, match="not started"):
        generate(engine, [make_request()])


def test_close_leaves_nothing_and_may_be_called_twice(engine_of):
    engine = engine_of()
    engine.close()
    engine.start(quiet)
    folder, family = engine.server.folder, psutil.Process(engine.server.child.pid).children(recursive=True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert family
    engine.close()
    engine.close()
    assert not folder.exists()
    assert not any(process.is_running() for process in family)


def test_it_can_be_started_again(engine_of, make_request):
    engine = engine_of()
    for _ in range(2):
        engine.start(quiet)
        assert generate(engine, [make_request()])["case-0"].error is None
        engine.close()


def test_an_exception_of_the_receiver_reaches_the_caller(engine_of, make_request):
    engine = engine_of()
    engine.start(quiet)

    def full(request, reply):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        engine.generate([make_request(n) for n in range(20)], full)
    assert generate(engine, [make_request()])["case-0"].error is None


def test_a_socket_path_stays_short(engine_of, monkeypatch, tmp_path):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    engine = engine_of()
    engine.start(quiet)
    assert len(str(engine.server.address.socket)) < 100


def test_folders_of_killed_runs_are_swept_and_living_ones_kept(engine_of, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    engine = engine_of()
    engine.start(quiet)
    left = tmp_path / "ft-harness-left"
    left.mkdir()
    (left / "lock").touch()
    _sweep(tmp_path)
    assert not left.exists()
    assert engine.server.folder.exists()


def test_public_serving_asks_for_the_key(engine_of):
    from harness.serving.foreground import free_port
    from harness.serving.server import Address, ModelServer

    engine = engine_of()
    address = Address(port=free_port(0), key="secret")
    engine.start_public(quiet, address, None)
    assert engine.server.get("/v1/models")[0] == 200
    stranger = ModelServer("stranger", Path(os.devnull))
    stranger.address = Address(port=address.port, key="guess")
    assert stranger.get("/v1/models")[0] == 401


def test_foreground_serves_until_interrupted(engine_of):
    from harness.serving import serve_foreground

    served = []

    def ready(what):
        served.append(what)
        raise KeyboardInterrupt

    engine = engine_of()
    serve_foreground(engine, template=None, port=0, on_event=quiet, on_ready=ready)
    (what,) = served
    assert what.url.startswith("http://127.0.0.1:")
    assert what.models == ("base-bbbbbbbb",)
    assert len(what.key) >= 24
    assert engine.server.folder is None


def test_a_port_that_is_taken_is_said_before_anything_starts(engine_of):
    from harness.serving import serve_foreground

    engine = engine_of()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(EngineError, match=r"port \d+ of 127.0.0.1 cannot be used.*in use"):
            serve_foreground(engine, template=None, port=taken.getsockname()[1], on_event=quiet, on_ready=quiet)
    assert engine.server.child is None


def test_foreground_tells_of_a_death(engine_of):
    from harness.serving import serve_foreground

    engine = engine_of()

    def kill(what):
        for child in psutil.Process(engine.server.child.pid).children(recursive=True):
            child.kill()
        time.sleep(0.1)

    with pytest.raises(EngineError, match="while serving"):
        serve_foreground(engine, template=None, on_event=quiet, on_ready=kill)


def test_foreground_announces_nothing_that_was_not_checked(engine_of):
    from harness.serving import serve_foreground

    engine, announced = engine_of(), []

    def refuse():
        assert engine.score([7, 8, 9]) == [-0.008, -0.009]
        raise EngineError("the adapter is not applied")

    with pytest.raises(EngineError, match="not applied"):
        serve_foreground(engine, template=None, on_event=quiet, check=refuse, on_ready=announced.append)
    assert not announced
    assert engine.server.folder is None
