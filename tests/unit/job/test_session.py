"""A run over the store: what is asked, what is reused, and what it depends on."""

from dataclasses import replace

import pytest
from fake_project import write_adapter
from hand_world import CASE, FakeEngine

from harness.config import load_config
from harness.errors import DataError, EngineError
from harness.types import Message

CASES = [replace(CASE, id=f"c{n}", messages=(Message("user", f"question {n}"),)) for n in range(10)]

REFUSING = "{% if 'question' in messages[0].content %}{{ raise_exception('no questions') }}{% endif %}"


def run(world, engine, cases=CASES, status="passed", **request):
    """Fill a session's replies and end it; an engine's death leaves it as a killed process would."""
    session = world.session(engine, **request)
    try:
        session.prepare()
        report = session.fill(session.requests([(case, 0) for case in cases]))
        session.finish(status)
        return report
    finally:
        session.close()


def test_replies_stored_before_a_failure_are_reused(world):
    broken = FakeEngine(dies_before=4, error=EngineError("it died"))
    with pytest.raises(EngineError, match="it died"):
        run(world, broken)
    whole = FakeEngine()
    report = run(world, whole)
    assert broken.asked == ["c0", "c1", "c2", "c3"]
    assert whole.asked == ["c4", "c5", "c6", "c7", "c8", "c9"]
    assert (report.wanted, report.reused, report.generated) == (10, 4, 6)


def test_with_every_reply_stored_no_engine_is_started(world):
    run(world, FakeEngine())
    again = FakeEngine()
    assert run(world, again).reused == 10
    assert again.starts == 0


def test_the_same_question_is_asked_once(world):
    engine = FakeEngine()
    run(world, engine, [*CASES, replace(CASES[0], id="twin")])
    assert len(engine.asked) == 10


def test_cases_that_cannot_be_rendered_are_all_named_and_nothing_is_asked(world):
    world.replace("base/tokenizer_config.json", "{% for m", REFUSING + "{% for m")
    engine = FakeEngine()
    with pytest.raises(DataError, match="10 cases cannot be rendered") as told:
        run(world, engine)
    assert [problem.row for problem in told.value.problems] == [case.id for case in CASES]
    assert engine.starts == 0


def test_an_endpoints_replies_are_reused_only_by_a_run_that_takes_up_a_broken_one(world):
    endpoint = {"base_only": False, "base_model": None, "endpoint": "http://127.0.0.1:1/v1", "model": "m"}
    engines = [FakeEngine() for _ in range(4)]
    for engine in engines:
        engine.wants_ids = False
    run(world, engines[0], CASES[:4], status="interrupted", **endpoint)
    run(world, engines[1], **endpoint)
    run(world, engines[2], **endpoint)
    run(world, engines[3], cache_endpoint=True, **endpoint)
    assert [len(engine.asked) for engine in engines] == [4, 6, 10, 10]


def key(world, **request):
    session = world.session(**{"base_only": False, "base_model": None, "config": load_config(world.config), **request})
    try:
        session.prepare()
        (asked,) = session.requests([(CASE, 0)])
        return asked.key
    finally:
        session.close()


def test_a_comment_in_the_config_hits(world):
    before = key(world)
    world.replace("train.yml", "adapter: lora\n", "# LoRA\nadapter: lora  # what else\n")
    assert key(world) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("adapter: lora\n", "adapter: lora\ndecode: {max_tokens: 9}\n"),
        ("adapter: lora\n", "adapter: lora\nchat_template: chatml\n"),
        ("adapter: lora\n", "adapter: lora\nspecial_tokens: {eos_token: <s>}\n"),
    ],
)
def test_a_changed_value_of_the_config_misses(world, old, new):
    before = key(world)
    world.replace("train.yml", old, new)
    assert key(world) != before


def test_one_byte_of_an_adapter_misses(world):
    before = key(world, adapter=world.adapter, config=None)
    write_adapter(world.adapter, world.base, 0.5000001)
    assert key(world, adapter=world.adapter, config=None) != before


@pytest.mark.parametrize(("old", "new"), [("}}</s>{%", "}} </s>{%"), ('"eos_token": "</s>"', '"eos_token": "</s>" ')])
def test_one_byte_of_template_or_tokenizer_misses(world, old, new):
    before = key(world, base_only=True)
    world.replace("base/tokenizer_config.json", old, new)
    assert key(world, base_only=True) != before


def test_every_repeat_has_a_seed_of_its_own(world):
    session = world.session()
    session.prepare()
    asked = session.requests([(CASE, repeat) for repeat in range(3)])
    session.close()
    assert [request.decoding.seed - asked[0].decoding.seed for request in asked] == [0, 1, 2]
    assert len({request.key for request in asked}) == 3
