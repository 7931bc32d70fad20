"""The transformers engine's HTTP side and its batches, in this process, with a stub in the model's place."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from harness.serving.transformers_server.ask import Answer, Ask, BadRequest, read_ask
from harness.serving.transformers_server.batcher import Batcher
from harness.serving.transformers_server.http import CompletionsServer
from harness.serving.transformers_server.job import ServerJob
from harness.types import Grammar

TEMPLATE = "{% for m in messages %}{{ m.role }}:{{ m.content }}</s>{% endfor %}assistant:"


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>"}), encoding="utf-8")
    return tmp_path


@pytest.fixture
def server(model_folder):
    """Start a server whose model answers with the text of the prompt's ids; ``server.seen`` holds the rows."""
    job = ServerJob(str(model_folder), None, "m", "b", "cpu", "float32", 200, 4, port=0, template=TEMPLATE)
    seen: list[Ask] = []

    def answer(batch):
        seen.extend(batch)
        answers = []
        for ask in batch:
            if ask.pieces is not None:
                ask.pieces.put("one ")
                ask.pieces.put("two")
            answers.append(Answer("text", [7, 8], "stop", [-0.5] * (len(ask.prompt_ids) - 1) if ask.score else None))
        return answers

    server = CompletionsServer(job, Batcher(answer, 4), "key")
    server.seen = seen
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def call(server, path, body=None, key="key"):
    connection = http.client.HTTPConnection("127.0.0.1", server.socket.getsockname()[1], timeout=10)
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request("GET" if body is None else "POST", path, content, {"Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    status, text = response.status, response.read().decode()
    connection.close()
    return status, text if path == "stream" or text.startswith("data:") else json.loads(text)


def test_models_and_health(server):
    assert call(server, "/health", key="") == (200, {})
    status, body = call(server, "/v1/models")
    assert (status, [model["id"] for model in body["data"]]) == (200, ["b", "m"])


@pytest.mark.parametrize(("path", "body"), [("/v1/models", None), ("/v1/completions", {"model": "m", "prompt": [1]})])
def test_a_wrong_key_gets_nothing(server, path, body):
    assert call(server, path, body, key="guess")[0] == 401
    assert server.seen == []


def test_a_completion_of_ids(server):
    status, body = call(server, "/v1/completions", {"model": "m", "prompt": [1, 2, 3], "max_tokens": 5})
    assert status == 200
    choice = body["choices"][0]
    assert (choice["text"], choice["token_ids"], choice["prompt_token_ids"]) == ("text", [7, 8], [1, 2, 3])
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_a_completion_of_text_is_tokenised(server, model_folder):
    assert call(server, "/v1/completions", {"model": "m", "prompt": "hi"})[0] == 200
    expected = Tokenizer.from_file(str(model_folder / "tokenizer.json")).encode("hi").ids
    assert server.seen[0].prompt_ids == expected


def test_chat_is_rendered_with_the_template_and_stops_where_it_stops(server, model_folder):
    messages = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    status, body = call(server, "/v1/chat/completions", {"model": "b", "messages": messages})
    assert status == 200, body
    assert (status, body["choices"][0]["message"]) == (200, {"role": "assistant", "content": "text"})
    tokenizer = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    (ask,) = server.seen
    assert tokenizer.decode(ask.prompt_ids, skip_special_tokens=False) == "user:hi</s>assistant:"
    assert tokenizer.token_to_id("</s>") in ask.stop_ids
    assert ask.max_tokens == 200 - len(ask.prompt_ids)


def test_streams(server):
    status, text = call(server, "/v1/completions", {"model": "m", "prompt": [1], "stream": True})
    events = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert status == 200
    assert [json.loads(event)["choices"][0]["text"] for event in events[:-1]] == ["one ", "two", ""]
    assert json.loads(events[-2])["choices"][0]["finish_reason"] == "stop"
    assert events[-1] == "[DONE]"


def test_scores_are_given_by_token(server):
    _, body = call(
        server, "/v1/completions", {"model": "m", "prompt": [1, 2, 3], "max_tokens": 1, "prompt_logprobs": 0}
    )
    assert body["choices"][0]["prompt_logprobs"] == [None, {"2": {"logprob": -0.5}}, {"3": {"logprob": -0.5}}]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "property name"),
        (b"[]", "JSON object"),
        ({"prompt": [1]}, "does not exist"),
        ({"model": "other", "prompt": [1]}, "served are ['b', 'm']"),
        ({"model": "m"}, "list of token ids"),
        ({"model": "m", "prompt": []}, "no tokens"),
        ({"model": "m", "prompt": ["a"]}, "list of token ids"),
        ({"model": "m", "prompt": [1] * 190, "max_tokens": 11}, "max_model_len 200"),
        ({"model": "m", "prompt": [1], "max_tokens": 0}, "max_tokens"),
        ({"model": "m", "prompt": [1], "temperature": -1}, "temperature"),
        ({"model": "m", "prompt": [1], "temperature": "hot"}, "temperature"),
        ({"model": "m", "prompt": [1], "structured_outputs": {"json": {"uniqueItems": True}}}, "uniqueItems"),
        ({"model": "m", "prompt": [1], "structured_outputs": {"yaml": 1}}, "yaml"),
        ({"model": "m", "prompt": [1], "use_beam_search": True, "n": 2, "stop": ["a"]}, "beam search"),
        ({"model": "m", "prompt": [1], "response_format": {"type": "xml"}}, "xml"),
    ],
)
def test_bad_requests_are_answered_with_what_is_wrong(server, body, said):
    status, answer = call(server, "/v1/completions", body)
    assert status == 400
    assert said in answer["error"]["message"]


def test_an_unknown_path(server):
    assert call(server, "/v1/embeddings", {"model": "m"})[0] == 404
    assert call(server, "/nothing")[0] == 404


def test_a_chat_without_template(server, model_folder):
    server.job = ServerJob(str(model_folder), None, "m", None, "cpu", "float32", 200, 4, port=0)
    assert "template" in call(server, "/v1/chat/completions", {"model": "m", "messages": []})[1]["error"]["message"]


def read(**body):
    return read_ask({"model": "m", **body}, [1, 2], limit=100, stream=False)


def test_grammars_in_either_dialect():
    schema = {"type": "null"}
    wanted = Grammar("json", json.dumps(schema))
    assert read(structured_outputs={"json": schema}).grammar == wanted
    assert read(response_format={"type": "json_schema", "json_schema": {"schema": schema}}).grammar == wanted
    assert read(structured_outputs={"grammar": "start: A"}).grammar == Grammar("lark", "start: A")
    assert read(structured_outputs={"choice": ["a"]}).grammar == Grammar("choice", '["a"]')
    assert read(response_format={"type": "text"}).grammar is None


def test_defaults_are_openais():
    ask = read()
    assert (ask.temperature, ask.top_p, ask.max_tokens, ask.skip_special_tokens) == (1.0, 1.0, 16, True)


def test_what_shares_a_batch():
    assert read(temperature=0.5, seed=1, max_tokens=3).batch_key == read(max_tokens=9, stop=["a"]).batch_key
    assert read(stop_token_ids=[1, 2]).batch_key == read(stop_token_ids=[2, 1]).batch_key
    assert read(stop_token_ids=[1]).batch_key != read().batch_key
    assert read(prompt_logprobs=0).batch_key != read().batch_key
    beams = [read(use_beam_search=True, n=2, max_tokens=length) for length in (3, 4)]
    assert beams[0].batch_key != beams[1].batch_key


def test_batches_are_alike_bounded_and_sorted_by_length():
    batches = []
    ready = threading.Event()

    def run(batch):
        ready.wait(10)
        batches.append(batch)
        return [Answer("", [], "stop") for _ in batch]

    batcher = Batcher(run, batch_size=3)
    asks = [Ask("m" if n % 2 else "b", list(range(10 - n))) for n in range(10)]
    for ask in asks:
        batcher.put(ask)
    ready.set()
    for ask in asks:
        ask.answer.result(10)
    assert sum(len(batch) for batch in batches) == 10
    for batch in batches:
        assert len(batch) <= 3
        assert len({ask.model for ask in batch}) == 1
        lengths = [len(ask.prompt_ids) for ask in batch]
        assert lengths == sorted(lengths)


def test_out_of_memory_is_met_with_smaller_batches():
    sizes = []

    def run(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return [Answer(str(len(ask.prompt_ids)), [], "stop") for ask in batch]

    batcher = Batcher(run, batch_size=8)
    asks = [Ask("m", [0] * n) for n in range(1, 9)]
    for ask in asks:
        batcher.put(ask)
    assert [ask.answer.result(10).text for ask in asks] == [str(n) for n in range(1, 9)]
    assert max(sizes) > 2


def test_an_error_reaches_every_row_of_its_batch_and_the_next_batch_runs():
    def run(batch):
        if batch[0].model == "bad":
            raise BadRequest("no such model")
        return [Answer("", [], "stop") for _ in batch]

    batcher = Batcher(run, batch_size=4)
    bad, good = [Ask("bad", [1]) for _ in range(2)], Ask("good", [1])
    for ask in (*bad, good):
        batcher.put(ask)
    for ask in bad:
        with pytest.raises(BadRequest):
            ask.answer.result(10)
    assert good.answer.result(10).finish_reason == "stop"
