from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StoreError
from harness.store import RunStore, database
from harness.types import Decoding, Generation, ToolCall, Verdict


def reply(key: str, text: str = "text", error: str | None = None) -> Generation:
    return Generation(
        key=key,
        case_id=f"case-{key}",
        model_hash="m",
        text=text,
        token_ids=(1, 2, 3),
        prompt_token_ids=(4, 5),
        finish_reason="error" if error else "stop",
        decoding=Decoding(stop=("a", "b")),
        seconds=0.25,
        tool_calls=(ToolCall("f", {"x": [1, {"y": None}]}, "id"),),
        error=error,
    )


def verdict(number: int, run: str = "r1", **changes: object) -> Verdict:
    made = Verdict(
        run, f"t.py::test[{number}]", "test", str(number), "suite", "pass", marks=("level1",), tags={"a": "b"}
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "runs.sqlite"


@pytest.fixture
def store(path):
    with RunStore(path) as store:
        yield store


# ----------------------------------------------------------- generations


def test_a_reply_is_read_back_as_it_was(store, path):
    first = reply("k1", "ä\ud800\x00\n")
    store.put_generation(first)
    assert store.generations(["k1", "k2"]) == {"k1": first}
    with RunStore(path) as other:
        assert other.generations(["k1"]) == {"k1": first}


@settings(deadline=None)
@given(st.text(), st.lists(st.integers(0, 200_000)), st.floats(0, 1e6))
def test_any_reply_is_read_back(tmp_path_factory, text, ids, seconds):
    made = dataclasses.replace(reply("k", text), token_ids=tuple(ids), seconds=seconds)
    with RunStore(tmp_path_factory.mktemp("any") / "runs.sqlite") as store:
        store.put_generation(made)
        assert store.generations(["k"]) == {"k": made}


def test_the_first_good_reply_stays(store):
    store.put_generation(reply("k", "first"))
    store.put_generation(reply("k", "second"))
    assert store.generations(["k"])["k"].text == "first"


def test_a_failed_reply_gives_way_to_a_good_one_and_never_hides_it(store):
    store.put_generation(reply("k", "", error="timeout"))
    assert store.generations(["k"])["k"].error == "timeout"
    store.put_generation(reply("k", "", error="refused"))
    assert store.generations(["k"])["k"].error == "refused"
    store.put_generation(reply("k", "good"))
    store.put_generation(reply("k", "", error="later"))
    assert store.generations(["k"])["k"].text == "good"


def test_many_keys_of_which_some_are_stored(store):
    store.put_generations([reply(f"k{number}") for number in range(0, 3000, 3)])
    found = store.generations(f"k{number}" for number in range(100_000))
    assert set(found) == {f"k{number}" for number in range(0, 3000, 3)}
    assert all(generation.key == key for key, generation in found.items())


@pytest.mark.parametrize("count", [0, 1, 899, 900, 901, 1801])
def test_key_lists_of_every_length(store, count):
    store.put_generations([reply(str(number)) for number in range(count)])
    asked = [str(number) for number in range(count)] * 2
    assert set(store.generations(asked)) == store.good_keys([*asked, "other"]) == set(asked)


def test_the_keys_of_good_replies_are_known_without_reading_one(store):
    store.put_generations([reply("good"), reply("failed", "", error="timeout"), reply("both", "", error="timeout")])
    store.put_generation(reply("both"))
    store._database.execute("UPDATE generations SET body = 'unreadable'")
    assert store.good_keys(["good", "failed", "both", "none"]) == {"good", "both"}


def test_many_replies_at_once_are_all_or_none(store):
    def some():
        yield reply("k1")
        raise RuntimeError("the caller failed")

    with pytest.raises(RuntimeError):
        store.put_generations(some())
    with pytest.raises(TypeError):
        store.put_generations([reply("k2"), dataclasses.replace(reply("k3"), text=object())])
    assert store.generations(["k1", "k2"]) == {}
    with pytest.raises(UnicodeEncodeError):
        store.put_generations([reply("k1"), reply("\ud800")])
    assert store.generations(["k1", "k2"]) == {}
    store.put_generation(reply("k1"))
    assert set(store.generations(["k1"])) == {"k1"}


def test_threads_may_share_a_store(store):
    def work(number):
        for index in range(50):
            store.put_generation(reply(f"{number}-{index}"))
            store.generations([f"{number}-{index}"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.generations(f"{number}-{index}" for number in range(4) for index in range(50))) == 200


# -------------------------------------------------------------- verdicts


def test_verdicts_are_read_back_in_order_and_by_run(store):
    made = [verdict(number, score=0.5, reason="because", cluster="c", repeat=2) for number in (3, 1, 2)]
    store.put_verdicts(made)
    store.put_verdicts([verdict(1, run="r2", outcome="fail")])
    assert store.verdicts("r1") == made
    assert store.verdicts("r2") == [verdict(1, run="r2", outcome="fail")]
    assert store.verdicts("r3") == []
    assert store.outcomes("r1") == {"pass": 3}


def test_the_last_verdict_of_an_item_counts_and_none_is_lost(store, path):
    store.put_verdicts([verdict(1, outcome="error"), verdict(2), verdict(1, outcome="fail")])
    assert store.verdicts("r1") == [verdict(2), verdict(1, outcome="fail")]
    assert store.outcomes("r1") == {"fail": 1, "pass": 1}
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM verdicts").fetchone() == (3,)
    database.close()


def test_a_test_file_whose_name_is_not_unicode(store):
    made = verdict(1, nodeid="t\udcff.py::test[1]")
    store.put_verdicts([made])
    assert store.verdicts("r1") == [made]


def test_many_verdicts_in_batches(store):
    made = [verdict(number, outcome="fail" if number % 10 == 0 else "pass") for number in range(20_000)]
    for start in range(0, 20_000, 1000):
        store.put_verdicts(made[start : start + 1000])
    assert store.verdicts("r1") == made
    assert store.outcomes("r1") == {"fail": 2000, "pass": 18_000}


def test_reading_verdicts_uses_an_index(store, path):
    """No growth with other runs: the plan searches, and scans no table."""
    statements = []
    store._database.set_trace_callback(statements.append)
    store.verdicts("r1")
    store.generations(["k"])
    store.good_keys(["k"])
    store.unfinished("f")
    store._database.set_trace_callback(None)
    for statement in statements:
        plan = [row[3] for row in store._database.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if step.startswith("SCAN")], (statement, plan)


# ------------------------------------------------------------------ runs


def test_a_run_from_begin_to_finish(store, path):
    store.begin("20250101-1", "f", {"argv": ["suites"], "home": Path("/h")})
    run = store.run("20250101-1")
    assert (run.status, run.finished, run.is_alive, run.is_unfinished) == ("running", None, True, False)
    assert run.info == {"argv": ["suites"], "home": "/h"}
    assert run.process.pid == os.getpid()
    store.finish("20250101-1", "failed", {"exit": 1})
    with RunStore(path) as other:
        run = other.run("20250101-1")
    assert (run.status, run.is_alive, run.is_unfinished) == ("failed", False, False)
    assert run.info == {"argv": ["suites"], "home": "/h", "exit": 1}
    assert run.finished >= run.started


def test_runs_are_listed_newest_first(store):
    for number in range(5):
        store.begin(f"run-{number}", "f", {})
    assert [run.id for run in store.runs()] == [f"run-{number}" for number in (4, 3, 2, 1, 0)]
    assert [run.id for run in store.runs(2)] == ["run-4", "run-3"]
    assert store.runs(0) == []


def test_a_run_is_found_by_the_beginning_of_its_id(store):
    for name in ("ab1", "ab2", "ab", "c_%"):
        store.begin(name, "f", {})
    assert store.run("ab1").id == "ab1"
    assert store.run("ab").id == "ab", "the whole id wins over longer ones"
    assert store.run("c").id == "c_%"
    with pytest.raises(StoreError, match="more than one run begins with 'a': ab, ab2, ab1"):
        store.run("a")
    with pytest.raises(StoreError, match=r"there is no run 'c%' in .*runs\.sqlite\. The latest are c_%, ab"):
        store.run("c%")


def test_no_runs_yet(store):
    assert store.runs() == []
    with pytest.raises(StoreError, match="There are none yet"):
        store.run("x")


def test_finish_of_a_run_that_was_never_begun(store):
    with pytest.raises(StoreError, match="run x was never begun"):
        store.finish("x", "passed")


BEGIN = """
import sys
from pathlib import Path
from harness.store import RunStore
store = RunStore(Path(sys.argv[1]))
store.begin(sys.argv[2], "f", {"first": True})
print("begun", flush=True)
sys.stdin.readline()
"""


def test_a_run_whose_process_was_killed_can_be_taken_up(store, path, start):
    other = start(BEGIN, path, "r1")
    other.line()
    assert store.run("r1").is_alive
    assert store.unfinished("f") is None
    with pytest.raises(StoreError, match=f"run r1 is being worked on by process {other.pid} on "):
        store.begin("r1", "f", {})
    other.kill()
    assert store.run("r1").is_unfinished
    assert store.unfinished("f") == "r1"
    assert store.unfinished("another") is None
    with pytest.raises(StoreError, match="other models, data or settings"):
        store.begin("r1", "another", {})
    store.begin("r1", "f", {"second": True})
    run = store.run("r1")
    assert run.is_alive
    assert run.process.pid == os.getpid()
    assert run.info == {"first": True, "second": True}
    assert store.unfinished("f") is None
    store.finish("r1", "passed")
    assert store.unfinished("f") is None
    with pytest.raises(StoreError, match=r"run r1 is finished \(passed\)"):
        store.begin("r1", "f", {})


def test_an_interrupted_run_can_be_taken_up(store):
    store.begin("r1", "f", {})
    store.finish("r1", "interrupted")
    assert store.unfinished("f") == "r1"
    store.begin("r1", "f", {})
    assert store.run("r1").finished is None


def test_the_newest_unfinished_run_is_taken_but_none_older_than_a_finished_one(store, path, start):
    for name in ("r1", "r2"):
        other = start(BEGIN, path, name)
        other.line()
        other.kill()
    assert store.unfinished("f") == "r2"
    store.begin("r3", "f", {})
    assert store.unfinished("f") == "r2", "one at work does not hide it"
    store.finish("r3", "passed")
    assert store.unfinished("f") is None


# ------------------------------------------------------------------ kills

WRITE = """
import sys
from pathlib import Path
from harness.store import RunStore
from harness.types import Decoding, Generation
store, name = RunStore(Path(sys.argv[1])), sys.argv[2]
for number in range(10**9):
    key = f"{name}-{number}"
    store.put_generation(Generation(key, key, "m", "x" * 3000, (1,) * 200, (), "stop", Decoding()))
    print(key, flush=True)
"""


@pytest.mark.parametrize("after", [1, 20, 150])
def test_what_was_acknowledged_before_a_kill_is_there_after_it(path, start, after):
    others = [start(WRITE, path, name) for name in ("a", "b")]
    acknowledged = []
    for other in others:
        acknowledged += [other.line() for _ in range(after)]
    for other in others:
        other.process.kill()
        acknowledged += other.process.communicate()[0].split()
    with RunStore(path) as store:
        found = store.generations(acknowledged)
        assert set(found) == set(acknowledged)
        assert all(generation.text == "x" * 3000 for generation in found.values())
        assert store.check() == []
        store.put_generation(reply("after"))
        assert set(store.generations(["after"])) == {"after"}


def test_a_kill_while_the_log_is_written_back(path, start):
    """Written-back pages and log are both on disk at the kill; the last connection never closed."""
    keeper = RunStore(path)
    other = start(WRITE.replace("print(key", "store._database.execute('PRAGMA wal_checkpoint'); print(key"), path, "a")
    acknowledged = [other.line() for _ in range(30)]
    other.process.kill()
    acknowledged += other.process.communicate()[0].split()
    assert set(keeper.generations(acknowledged)) == set(acknowledged)
    keeper.close()
    with RunStore(path) as store:
        assert set(store.generations(acknowledged)) == set(acknowledged)


def test_processes_that_open_a_new_store_at_once(path, start):
    code = WRITE.replace("10**9", "20")
    others = [start(code, path, str(number)) for number in range(6)]
    keys = [key for other in others for key in other.finish().split()]
    assert len(keys) == 120
    with RunStore(path) as store:
        assert set(store.generations(keys)) == set(keys)


@pytest.mark.parametrize("after", [1, 2])
def test_a_store_that_another_process_makes_while_this_one_looks(path, after):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as looking:
        seen = []

        class Interrupted:
            """Lets the other process make the store between two of the questions."""

            def execute(self, statement):
                answer = looking.execute(statement).fetchone()
                seen.append(statement)
                if len(seen) == after:
                    RunStore(path).close()
                return SimpleNamespace(fetchone=lambda: answer)

        assert database._version(Interrupted(), path) in (0, len(database.STEPS))


# ----------------------------------------------------------------- damage


def test_a_file_that_is_no_database(path):
    path.parent.mkdir()
    path.write_text("not a database, and long enough to be read as the header of one " * 20)
    with pytest.raises(StoreError, match=r"(?s)runs\.sqlite is damaged: .*Move it away \(mv .*are kept"):
        RunStore(path)
    assert path.read_text().startswith("not a database"), "it is left as it was"


def test_a_truncated_file(path):
    with RunStore(path) as store:
        store.put_generations([reply(str(number), "x" * 4000) for number in range(200)])
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreError, match="is damaged"), RunStore(path) as store:
        store.generations(str(number) for number in range(200))


def test_check_finds_a_damaged_page(path):
    with RunStore(path) as store:
        store.put_generations([reply(str(number), "x" * 4000) for number in range(200)])
        assert store.check() == []
    data = bytearray(path.read_bytes())
    for page in range(10, 20):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)
    with RunStore(path) as store:
        try:
            problems = store.check()
        except StoreError as error:
            problems = [str(error)]
    assert problems


def test_a_database_of_something_else(path):
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(StoreError, match="not a run store of the harness"):
        RunStore(path)


def test_a_store_of_a_newer_version(path):
    RunStore(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match=r"newer version of the harness \(schema 99, this one knows 1\): upgrade"):
        RunStore(path)


def test_a_store_of_an_older_version_is_upgraded_with_its_rows(path, monkeypatch):
    with RunStore(path) as store:
        store.put_generation(reply("k"))
    monkeypatch.setattr(database, "STEPS", (*database.STEPS, "CREATE TABLE judgements (key TEXT)"))
    with RunStore(path) as store:
        assert set(store.generations(["k"])) == {"k"}
        assert store._database.execute("PRAGMA user_version").fetchone() == (2,)
        assert store._database.execute("SELECT count(*) FROM judgements").fetchone() == (0,)


def test_an_upgrade_that_fails_leaves_the_old_version_whole(path, monkeypatch):
    with RunStore(path) as store:
        store.put_generation(reply("k"))
    bad = "CREATE TABLE judgements (key TEXT); CREATE TABLE generations (again TEXT)"
    with monkeypatch.context() as patch:
        patch.setattr(database, "STEPS", (*database.STEPS, bad))
        with pytest.raises(StoreError, match="already exists"):
            RunStore(path)
    with RunStore(path) as store:
        assert set(store.generations(["k"])) == {"k"}
        assert store._database.execute("SELECT count(*) FROM sqlite_master WHERE name='judgements'").fetchone() == (0,)


def test_a_row_that_this_version_cannot_read(store):
    body = json.dumps({"key": "k", "unknown": 1})
    store._database.execute("INSERT INTO generations (key, failed, created, body) VALUES ('k', 0, 0, ?)", (body,))
    with pytest.raises(StoreError, match="holds a Generation that this version cannot read"):
        store.generations(["k"])


def test_a_store_that_stays_locked(path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with RunStore(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(StoreError, match="stayed locked by another process"):
                store.put_generation(reply("k"))
            assert store.generations(["k"]) == {}, "reading goes on"
        finally:
            other.close()
        store.put_generation(reply("k"))
        assert set(store.generations(["k"])) == {"k"}


def test_a_folder_in_place_of_the_store(path):
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be used: unable to open database file"):
        RunStore(path)


def test_a_file_in_place_of_its_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot save the run store"):
        RunStore(tmp_path / "file" / "runs.sqlite")


def test_closing_twice(path):
    store = RunStore(path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.runs()
