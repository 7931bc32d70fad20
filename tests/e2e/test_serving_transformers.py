"""The transformers engine with the real small model, against plain transformers one prompt at a time."""

from __future__ import annotations

import json

import jsonschema
import pytest
from serving_world import GRAMMARS, SCHEMA, World, build, generate, quiet

from harness.serving import chat_stream, check_applied
from harness.types import Decoding, Request

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world(base, tmp_path_factory) -> World:
    return build(base, tmp_path_factory.mktemp("serving"))


@pytest.fixture(scope="module")
def engine(world, tmp_path_factory):
    engine = world.engine(tmp_path_factory.mktemp("work"), engine="transformers")
    engine.start(quiet)
    yield engine
    engine.close()


def test_lora_is_the_default_and_applied(engine, world):
    assert engine.identity["adapter"] == "lora"
    assert check_applied(engine, world.prompts)["difference"] > 0.1


def test_logprobs_equal_the_references(engine, world):
    for number, ids in enumerate(world.prompts):
        assert engine.score(ids) == pytest.approx(world.reference["adapter_scores"][number], abs=1e-3)
        assert engine.score(ids, base=True) == pytest.approx(world.reference["base_scores"][number], abs=1e-3)


def test_batched_greedy_equals_one_at_a_time(engine, world):
    found = generate(engine, [world.request(number) for number in range(6)])
    assert [list(found[str(n)].token_ids) for n in range(6)] == world.reference["greedy"]
    assert all(found[str(n)].prompt_token_ids == tuple(world.prompts[n]) for n in range(6))


def test_the_base_answers_beside_the_adapter(engine, world):
    pairs = list(zip(world.reference["base_greedy"], world.reference["greedy"], strict=True))
    number = next(number for number, (plain, adapted) in enumerate(pairs) if plain != adapted)
    decoding = Decoding(max_tokens=16)
    plain, adapted = (
        "".join(chat_stream(engine, world.prompts[number], [world.stop], decoding, base=base)) for base in (True, False)
    )
    assert plain == world.decode(pairs[number][0])
    assert adapted == world.decode(pairs[number][1])
    assert plain != adapted


def test_beam_search_equals_the_reference(engine, world):
    found = generate(engine, [world.request(number, beams=3) for number in range(2)])
    assert [list(found[str(n)].token_ids) for n in range(2)] == world.reference["beams"]
    assert world.reference["beams"] != world.reference["greedy"][:2]


def test_beam_search_under_a_grammar_is_refused(engine, world):
    assert "beams: 1" in generate(engine, [world.request(0, GRAMMARS["choice"], beams=3)])["0"].error


def test_grammars_penalties_and_free_rows_share_a_batch(engine, world):
    requests = [
        world.request(n, grammar, case=kind, max_tokens=40) for n, (kind, grammar) in enumerate(GRAMMARS.items())
    ]
    requests += [world.request(0, case="free"), world.request(0, case="penalised", repetition_penalty=1.5)]
    found = generate(engine, requests)
    assert not [reply.error for reply in found.values() if reply.error]
    jsonschema.validate(json.loads(found["json"].text), SCHEMA)
    assert found["choice"].text in json.loads(GRAMMARS["choice"].text)
    assert all(found[kind].finish_reason == "stop" for kind in GRAMMARS)
    assert list(found["free"].token_ids) == world.reference["greedy"][0]
    assert list(found["penalised"].token_ids) == world.reference["penalised"]
    assert world.reference["penalised"] != world.reference["greedy"][0]


def test_a_sampled_row_draws_the_same_whatever_shares_its_batch(engine, world):
    sampled = world.request(2, case="sampled", temperature=0.9, top_k=20, top_p=0.9, seed=5)
    alone = generate(engine, [sampled])["sampled"].token_ids
    crowd = [world.request(n, temperature=1.5, seed=n) for n in range(6)]
    assert generate(engine, [*crowd[:3], sampled, *crowd[3:]])["sampled"].token_ids == alone
    other = Request(**{**vars(sampled), "repeat": 1})
    assert generate(engine, [other])["sampled"].token_ids != alone


def test_stop_strings_and_lengths_end_a_row_by_itself(engine, world):
    greedy = generate(engine, [world.request(2, max_tokens=16)])["2"]
    word = greedy.text.split()[2]
    requests = [
        world.request(2, case="stopped", stop=(word,)),
        world.request(2, case="short", max_tokens=3),
        world.request(2, case="whole"),
    ]
    found = generate(engine, requests)
    assert found["stopped"].text == greedy.text[: greedy.text.index(word)]
    assert found["stopped"].finish_reason == "stop"
    assert len(found["stopped"].token_ids) < len(greedy.token_ids)
    assert (found["short"].finish_reason, found["short"].token_ids) == ("length", greedy.token_ids[:3])
    assert found["whole"].token_ids == greedy.token_ids


def test_streamed_text_is_the_replys_text(engine, world):
    whole = generate(engine, [world.request(2)])["2"].text
    pieces = list(chat_stream(engine, world.prompts[2], [world.stop], Decoding(max_tokens=16)))
    assert "".join(pieces) == whole
    assert len(pieces) > 3


def test_a_merged_adapter_is_recognised(world, tmp_path):
    engine = world.engine(tmp_path, engine="transformers", adapter="merged")
    engine.start(quiet)
    try:
        canary = world.canary()
        figures = check_applied(engine, canary["ids"], canary["base_logprobs"], canary["merged_logprobs"])
        assert figures["place"] == pytest.approx(1, abs=0.01)
    finally:
        engine.close()
