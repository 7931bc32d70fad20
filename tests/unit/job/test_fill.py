import pytest

from harness.errors import EngineError, StoreError
from harness.job.fill import generate_missing, missing_requests
from harness.store import RunStore
from harness.types import Decoding, Generation, Reply, Request


def request(number):
    return Request(f"key-{number}", f"case-{number}", (), (), Decoding())


class Engine:
    def __init__(self, dies_after=None):
        self.dies_after = dies_after

    def generate(self, requests, on_reply):
        for number, asked in enumerate(requests):
            if number == self.dies_after:
                raise EngineError("it died")
            error = "too long" if number % 10 == 9 else None
            on_reply(asked, Reply("text", (1, 2), (3,), "stop", 1, 2, error=error))


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path / "runs.db") as opened:
        yield opened


def test_every_reply_of_a_burst_is_stored_and_counted(store):
    events = []
    requests = [request(i) for i in range(1000)]
    assert generate_missing(requests, Engine(), store, "model", events.append) == (100, 1000, 2000)
    stored = store.generations(r.key for r in requests)
    assert len(stored) == 1000
    assert sum(g.error is not None for g in stored.values()) == 100
    assert [e["done"] for e in events if e["event"] == "reply"] == list(range(1, 1001))


def test_what_landed_before_the_engine_died_is_stored(store):
    requests = [request(i) for i in range(1000)]
    with pytest.raises(EngineError, match="it died"):
        generate_missing(requests, Engine(dies_after=437), store, "model", lambda _: None)
    assert len(store.generations(r.key for r in requests)) == 437


def test_a_store_that_cannot_be_written_ends_the_generation(store):
    class Full:
        def put_generations(self, generations):
            raise StoreError("no space left")

    for count in (1, 5_000):  # told at the end, or as soon as it is known
        with pytest.raises(StoreError, match="no space left"):
            generate_missing([request(i) for i in range(count)], Engine(), Full(), "model", lambda _: None)


def test_failed_replies_are_asked_for_again_and_each_key_once(store):
    failed = Generation("key-1", "c", "m", "", (), (), "error", Decoding(), error="refused")
    good = Generation("key-2", "c", "m", "yes", (), (), "stop", Decoding())
    asked = [request(1), request(2), request(3), request(3)]
    store.put_generations([failed, good])
    missing = missing_requests(asked, store)
    assert [r.key for r in missing] == ["key-1", "key-3"]
