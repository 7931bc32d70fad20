"""The line between xdist workers and the controller's engine."""

import secrets
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from harness.errors import EngineError
from harness.types import Case, Decoding, Generation, Message
from pytest_ftplugin.broker import Broker, BrokerClient

CASE = Case("c", (Message("user", "hello"),), meta={"a": [1]}, tags={"t": "x"})


def answer(case, repeat):
    text = f"{case.id} {repeat} {case.meta['a']}"
    return Generation("key", case.id, "m", text, (1,), (2,), "stop", Decoding(), repeat=repeat)


@pytest.fixture
def line(tmp_path):
    key = secrets.token_bytes(32)
    path = tmp_path / "s"
    opened = []

    def make(ask):
        opened.append(Broker(path, key, ask))
        return BrokerClient(path, key)

    make.path, make.key = path, key
    yield make
    for broker in opened:
        broker.close()


def test_a_reply_crosses_unchanged(line):
    client = line(answer)
    assert client.ask(CASE, 2) == answer(CASE, 2)
    assert client.ask(CASE, 0) == answer(CASE, 0)


def test_an_error_of_the_engine_reaches_the_worker(line):
    def fail(case, repeat):
        raise EngineError("it died", ["last words"])

    client = line(fail)
    with pytest.raises(EngineError, match=r"it died\n  \| last words"):
        client.ask(CASE, 0)


def test_the_engine_is_asked_for_one_reply_at_a_time(line):
    busy, most = [], []

    def ask(case, repeat):
        busy.append(1)
        most.append(len(busy))
        threading.Event().wait(0.02)
        busy.pop()
        return answer(case, repeat)

    line(ask)
    threads = [threading.Thread(target=BrokerClient(line.path, line.key).ask, args=(CASE, i)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_without_the_key_nothing_is_answered(line):
    client = line(answer)
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        Client(str(line.path), family="AF_UNIX", authkey=b"wrong")
    assert client.ask(CASE, 1).repeat == 1, "others are still served"


def test_a_client_that_talks_nonsense_does_not_stop_the_broker(line):
    client = line(answer)
    with Client(str(line.path), family="AF_UNIX", authkey=line.key) as stranger:
        stranger.send_bytes(b"not json")
        with pytest.raises(EOFError):
            stranger.recv_bytes()
    assert client.ask(CASE, 1).repeat == 1


def test_a_controller_that_is_gone_is_an_engine_error(tmp_path):
    with pytest.raises(EngineError, match="does not answer"):
        BrokerClient(tmp_path / "nobody", b"key").ask(CASE, 0)
