from __future__ import annotations

import socket
import threading
import time

import pytest
from serving_fakes import chat_completion, echo, refuse, unused_port

from harness.errors import EngineError
from harness.protocols import Engine
from harness.reporting.progress import event_line
from harness.serving import EndpointEngine
from harness.types import Grammar, Message, Request, ToolCall

SCHEMA = '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}'


@pytest.fixture
def engine(endpoint):
    engine = EndpointEngine(endpoint.url, "gpt-test", timeout=2.0, retries=2)
    yield engine
    engine.close()


def answers(engine, requests):
    engine.start(lambda event: None)
    found = {}
    engine.generate(requests, lambda request, reply: found.__setitem__(request.case_id, reply))
    return found


def test_is_an_engine_whose_identity_is_known_before_the_start(engine, endpoint):
    assert isinstance(engine, Engine)
    assert engine.identity == {"engine": "endpoint", "url": endpoint.url, "model": "gpt-test"}
    assert not engine.wants_ids


def test_what_its_start_reports_can_be_shown(engine):
    events = []
    engine.start(events.append)
    (line,) = [event_line(event) for event in events]
    assert line.startswith("the endpoint engine is ready after ")


def test_every_request_is_answered_with_its_own_reply(engine, make_request):
    found = answers(engine, [make_request(number) for number in range(40)])
    assert {case: reply.text for case, reply in found.items()} == {
        f"case-{number}": f"echo: question {number}" for number in range(40)
    }
    assert found["case-0"].finish_reason == "stop"
    assert (found["case-0"].prompt_tokens, found["case-0"].completion_tokens) == (5, 2)


def test_replies_are_handed_over_in_the_callers_thread(engine, make_request):
    threads = set()
    engine.start(lambda event: None)
    engine.generate([make_request(n) for n in range(5)], lambda *_: threads.add(threading.get_ident()))
    assert threads == {threading.get_ident()}


def test_what_is_sent(engine, endpoint, make_request, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    tool = {"name": "add", "parameters": {"type": "object"}}
    call = Message("assistant", "", tool_calls=(ToolCall("add", {"a": 1}, "c1"),))
    result = Message("tool", "3", tool_call_id="c1")
    request = make_request(1, top_p=0.5, top_k=7, stop=("END",), seed=3)
    request = Request(**{**vars(request), "tools": (tool,), "messages": (*request.messages, call, result), "repeat": 2})
    answers(engine, [request])
    (body,) = endpoint.bodies
    assert body["model"] == "gpt-test"
    assert body["tools"] == [{"type": "function", "function": tool}]
    assert body["messages"][1]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert body["messages"][2] == {"role": "tool", "content": "3", "tool_call_id": "c1"}
    assert (body["max_tokens"], body["temperature"], body["top_p"], body["top_k"]) == (8, 0.0, 0.5, 7)
    assert body["stop"] == ["END"]
    assert body["seed"] == 5  # a repeat is another draw
    assert endpoint.headers[0]["authorization"] == "Bearer sk-secret"


def test_fields_outside_openais_api_are_left_out_by_default(engine, endpoint, make_request):
    answers(engine, [make_request()])
    assert set(endpoint.bodies[0]) == {"model", "messages", "max_tokens", "temperature", "seed"}


def test_tool_calls_are_read_and_broken_arguments_stay_text(engine, endpoint, make_request):
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "add", "arguments": "{oops"}},
    ]
    endpoint.answer = lambda handler, body: handler.send_json(200, chat_completion(None, tool_calls=calls))
    reply = answers(engine, [make_request()])["case-0"]
    assert reply.tool_calls == (ToolCall("add", {"a": 1}, "c1"),)
    assert "{oops" in reply.text
    assert reply.error is None


def test_a_400_is_the_requests_affair(engine, endpoint, make_request):
    endpoint.answer = lambda handler, body: (
        refuse(400, "this prompt is too long")(handler, body)
        if "question 1" in body["messages"][0]["content"]
        else echo(handler, body)
    )
    found = answers(engine, [make_request(0), make_request(1), make_request(2)])
    assert "too long" in found["case-1"].error
    assert found["case-1"].text == ""
    assert found["case-0"].error is None
    assert found["case-2"].error is None


def test_max_completion_tokens_is_used_where_the_endpoint_asks_for_it(engine, endpoint, make_request):
    endpoint.script = [refuse(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")]
    found = answers(engine, [make_request(), make_request(1)])
    assert all(reply.error is None for reply in found.values())
    assert endpoint.bodies[-1]["max_completion_tokens"] == 8
    assert "max_tokens" not in endpoint.bodies[-1]


def test_401_names_the_variable(engine, endpoint, make_request, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    endpoint.answer = refuse(401, "bad key")
    with pytest.raises(EngineError, match=r"OPENAI_API_KEY is not set.*401.*bad key"):
        answers(engine, [make_request()])


def test_401_at_the_start(engine, endpoint):
    endpoint.models = refuse(401, "bad key")
    with pytest.raises(EngineError, match="401"):
        engine.start(lambda event: None)


def test_the_key_is_never_shown(engine, endpoint, make_request, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    endpoint.answer = refuse(401, "bad key")
    with pytest.raises(EngineError) as caught:
        answers(engine, [make_request()])
    assert "sk-secret" not in str(caught.value)
    assert "sk-secret" not in str(engine.describe())


def test_404_says_model_or_root(engine, endpoint, make_request):
    endpoint.answer = refuse(404, "no such model")
    with pytest.raises(EngineError, match=r"no model 'gpt-test'.*end in /v1.*404"):
        answers(engine, [make_request()])


def test_429_waits_as_long_as_it_is_asked_and_tries_again(engine, endpoint, make_request):
    endpoint.script = [refuse(429, "slow down", Retry_After="1")]
    started = time.monotonic()
    found = answers(engine, [make_request()])
    assert time.monotonic() - started >= 1.0
    assert found["case-0"].text == "echo: question 0"
    assert len(endpoint.bodies) == 2


def test_500_is_tried_again_and_then_an_error_of_the_request(engine, endpoint, make_request):
    endpoint.script = [refuse(500, "oops")]
    assert answers(engine, [make_request()])["case-0"].error is None
    endpoint.script = [refuse(503, "overloaded")] * 3
    reply = answers(engine, [make_request()])["case-0"]
    assert "503" in reply.error
    assert "overloaded" in reply.error


def test_an_endpoint_that_always_fails_ends_the_run(endpoint, make_request):
    engine = EndpointEngine(endpoint.url, "gpt-test", retries=0, concurrency=1)
    endpoint.answer = refuse(500, "oops")
    with pytest.raises(EngineError, match=r"5 requests in a row.*500.*oops"):
        answers(engine, [make_request(number) for number in range(50)])
    assert len(endpoint.bodies) == 5
    engine.close()


def test_html_is_no_completion(engine, endpoint, make_request):
    endpoint.answer = lambda handler, body: handler.send(200, b"<html><h1>Log in</h1></html>", "text/html")
    reply = answers(engine, [make_request()])["case-0"]
    assert "not a chat completion" in reply.error
    assert "Log in" in reply.error


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"choices": []}', b'{"choices": [{"message": 3}]}', b'{"choi', b""])
def test_bodies_that_are_no_completion(engine, endpoint, make_request, body):
    endpoint.answer = lambda handler, _: handler.send(200, body)
    assert "not a chat completion" in answers(engine, [make_request()])["case-0"].error


def test_a_body_that_breaks_off_is_tried_again(engine, endpoint, make_request):
    def truncated(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')
        handler.close_connection = True

    endpoint.script = [truncated]
    assert answers(engine, [make_request()])["case-0"].text == "echo: question 0"


def test_a_slow_answer_times_out(endpoint, make_request):
    release = threading.Event()
    endpoint.answer = lambda handler, body: release.wait(20)
    engine = EndpointEngine(endpoint.url, "gpt-test", timeout=0.2, retries=0)
    reply = answers(engine, [make_request()])["case-0"]
    release.set()
    engine.close()
    assert "no answer within" in reply.error


def test_nobody_there(make_request):
    engine = EndpointEngine(f"http://127.0.0.1:{unused_port()}/v1", "gpt-test", retries=0)
    with pytest.raises(EngineError, match="cannot be reached"):
        engine.start(lambda event: None)
    engine.close()


def test_an_endpoint_that_goes_down_ends_the_run_and_keeps_what_landed(endpoint, make_request):
    engine = EndpointEngine(endpoint.url, "gpt-test", retries=0, concurrency=1)
    engine.start(lambda event: None)
    landed = []

    def on_reply(request, reply):
        landed.append(request.case_id)
        endpoint.answer = lambda handler, body: handler.connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(EngineError, match="cannot be reached"):
        engine.generate([make_request(number) for number in range(5)], on_reply)
    engine.close()
    assert landed
    assert len(landed) < 5


def test_a_model_that_is_not_listed_is_a_warning(endpoint):
    engine = EndpointEngine(endpoint.url, "other")
    events = []
    engine.start(events.append)
    engine.close()
    assert any(event["event"] == "warning" and "gpt-test" in event["message"] for event in events)


def test_an_endpoint_without_a_model_list_is_fine(engine, endpoint, make_request):
    endpoint.models = refuse(404, "no such path")
    assert answers(engine, [make_request()])["case-0"].error is None


def test_grammar_is_asked_for_and_probed(engine, endpoint, make_request):
    endpoint.answer = lambda handler, body: handler.send_json(
        200, chat_completion("ZqXKXK7Zq" if "structured_outputs" in body else '{"a": 1}')
    )
    request = Request(**{**vars(make_request()), "grammar": Grammar("json", SCHEMA)})
    assert answers(engine, [request])["case-0"].text == '{"a": 1}'
    probe, asked = endpoint.bodies
    assert "regex" in probe["structured_outputs"]
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["a"]


def test_an_endpoint_that_ignores_a_grammar_is_found_out(engine, endpoint, make_request):
    request = Request(**{**vars(make_request()), "grammar": Grammar("choice", '["yes", "no"]')})
    with pytest.raises(EngineError, match="does not enforce"):
        answers(engine, [request])


def test_beam_search_names_the_engine_that_can(engine, make_request):
    engine.start(lambda event: None)
    with pytest.raises(EngineError, match="transformers"):
        engine.generate([make_request(beams=4)], lambda *_: None)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://", "", "http://user:pass@host/v1"])
def test_urls_that_are_none(url):
    with pytest.raises(EngineError):
        EndpointEngine(url, "gpt-test")


def test_plain_http_beyond_this_machine_is_warned_about(monkeypatch):
    engine = EndpointEngine("http://192.0.2.1:9/v1", "gpt-test", timeout=0.1, retries=0)
    events = []
    with pytest.raises(EngineError):
        engine.start(events.append)
    engine.close()
    assert any("unencrypted" in event.get("message", "") for event in events)


def test_scoring_names_the_engines_that_can(engine):
    with pytest.raises(EngineError, match="vllm"):
        engine.score([1, 2])


def test_interrupting_in_the_middle_leaves_a_usable_engine(engine, endpoint, make_request):
    engine.start(lambda event: None)

    def interrupt(request, reply):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate([make_request(number) for number in range(20)], interrupt)
    assert answers(engine, [make_request(3)])["case-3"].text == "echo: question 3"
