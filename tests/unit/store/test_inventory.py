from __future__ import annotations

import hashlib
import os
import sqlite3
import time

import pytest

from harness.store import FolderCache, Home, cache_entries, clear, prune, verify

BUILD = """
import sys, time
from pathlib import Path
from harness.store import FolderCache, Home
home = Home(Path(sys.argv[1]))
for spec in sys.argv[2:]:
    kind, key, size = spec.split(":")
    build = lambda folder: (folder / "a.bin").write_bytes(b"x" * int(size))
    FolderCache(home, kind).get_or_build(key, f"{kind} {key}", build)
"""
NOW = 1_000_000.0


@pytest.fixture
def filled(home, start):
    """Entries built by a process that is gone, so that nobody uses them; used 1, 2 and 3 hours ago."""
    start(BUILD, home.root, "models:base:5000", "adapters:old:300", "adapters:new:700").finish()
    for path, hours in ((home.models / "base", 2), (home.adapters / "old", 3), (home.adapters / "new", 1)):
        os.utime(path / "entry.json", (NOW - hours * 3600,) * 2)
    return home


def keys(entries) -> list[str]:
    return [entry.key for entry in entries]


def test_an_empty_home_has_no_entries(home):
    assert cache_entries(home) == []
    assert verify(home) == []
    assert clear(home).removed == ()
    assert not home.root.exists()


def test_entries_are_listed_last_used_first(filled):
    entries = cache_entries(filled)
    assert keys(entries) == ["new", "base", "old"]
    base = entries[1]
    assert (base.kind, base.size, base.description) == ("models", 5000, "models base")
    assert base.path == filled.models / "base"
    assert base.last_used == NOW - 2 * 3600
    assert abs(base.created - (base.path / "a.bin").stat().st_mtime) < 60
    assert not base.is_busy
    assert keys(cache_entries(filled, ["models"])) == ["base"]


def test_looking_an_entry_up_is_using_it(filled):
    FolderCache(filled, "adapters").find("old")
    first = cache_entries(filled)[0]
    assert first.key == "old"
    assert first.users == (os.getpid(),)
    assert first.is_busy


def test_prune_by_age(filled):
    removal = prune(filled, older_than=2.5 * 3600, now=NOW)
    assert keys(removal.removed) == ["old"]
    assert removal.freed >= 300
    assert keys(cache_entries(filled)) == ["new", "base"]


@pytest.mark.parametrize(
    ("limit", "left"),
    [(6000, ["new", "base", "old"]), (5999, ["new", "base"]), (5700, ["new", "base"]), (5699, ["new"]), (0, [])],
)
def test_prune_by_size_takes_the_longest_unused(filled, limit, left):
    prune(filled, max_bytes=limit)
    assert keys(cache_entries(filled)) == left


def test_prune_by_both(filled):
    removal = prune(filled, older_than=2.5 * 3600, max_bytes=1000, now=NOW)
    assert sorted(keys(removal.removed)) == ["base", "old"]


def test_prune_without_limits_removes_only_leftovers(filled):
    left = filled.adapters / ".building" / "crashed"
    left.mkdir(parents=True)
    (left / "half.bin").write_bytes(b"x" * 100)
    os.truncate(filled.adapters / "old" / "a.bin", 1)
    assert FolderCache(filled, "adapters", on_warning=lambda text: None).find("old") is None
    removal = prune(filled)
    assert removal.removed == ()
    assert removal.freed > 100
    assert not left.exists()
    assert list((filled.adapters / ".damaged").iterdir()) == []
    assert keys(cache_entries(filled)) == ["new", "base"]


def test_what_is_in_use_stays(filled, start):
    code = """
import sys
from pathlib import Path
from harness.store import FolderCache, Home
print(FolderCache(Home(Path(sys.argv[1])), "models").find("base"), flush=True)
sys.stdin.readline()
"""
    other = start(code, filled.root)
    assert other.line() == str(filled.models / "base")
    removal = clear(filled)
    assert sorted(keys(removal.removed)) == ["new", "old"]
    assert keys(removal.kept_busy) == ["base"]
    assert removal.kept_busy[0].users == (other.pid,)
    other.kill()
    assert keys(clear(filled).removed) == ["base"]
    assert cache_entries(filled) == []


def test_what_is_being_built_stays(filled, start):
    code = """
import sys
from pathlib import Path
from harness.store import FolderCache, Home
def build(folder):
    print("building", flush=True)
    sys.stdin.readline()
    (folder / "a.bin").write_bytes(b"x")
print(FolderCache(Home(Path(sys.argv[1])), "models").get_or_build("more", "more", build), flush=True)
"""
    other = start(code, filled.root)
    other.line()
    clear(filled)
    other.tell()
    assert other.line() == str(filled.models / "more")
    assert keys(cache_entries(filled)) == ["more"]


def test_an_entry_found_at_the_moment_of_removal_stays(filled, monkeypatch):
    cache = FolderCache(filled, "models")
    real = FolderCache.users
    asked = []

    def users(self, key):
        asked.append(key)
        return real(self, key) if len(asked) == 1 else [4711]

    monkeypatch.setattr(FolderCache, "users", users)
    assert cache.remove("base") is None
    monkeypatch.undo()
    assert not verify(filled)
    assert keys(cache_entries(filled, ["models"])) == ["base"]


def test_clear_of_one_kind(filled):
    assert sorted(keys(clear(filled, ["adapters"]).removed)) == ["new", "old"]
    assert keys(cache_entries(filled)) == ["base"]


def test_verify_reads_every_byte(filled):
    assert verify(filled) == []
    file = filled.models / "base" / "a.bin"
    file.write_bytes(b"x" * 4999 + b"y")
    (filled.adapters / "old" / "a.bin").unlink()
    seen = []
    problems = verify(filled, on_entry=lambda entry: seen.append(entry.key))
    assert seen == ["new", "base", "old"]
    assert {(problem.kind, problem.key): problem.problems for problem in problems} == {
        ("models", "base"): ("a.bin: the content changed",),
        ("adapters", "old"): ("a.bin: No such file or directory",),
    }


def test_verify_does_not_trust_remembered_digests(filled, monkeypatch):
    """A disk may rot without touching any time."""
    file = filled.models / "base" / "a.bin"
    now = time.time_ns
    monkeypatch.setattr("harness.store.digests.time.time_ns", lambda: now() + 10**10)
    cache = FolderCache(filled, "models")
    assert cache.find("base")
    file.write_bytes(b"y" * 5000)
    stat = file.stat()
    database = sqlite3.connect(filled.digests_db, isolation_level=None)
    database.execute(
        "UPDATE digests SET mtime_ns = ?, ctime_ns = ?, sha256 = ?",
        (stat.st_mtime_ns, stat.st_ctime_ns, hashlib.sha256(b"x" * 5000).hexdigest()),
    )
    database.close()
    assert cache.find("base"), "the remembered digest says that it did not change"
    assert [problem.key for problem in verify(filled)] == ["base"]


def test_a_damaged_entry_is_listed_and_can_be_removed(filled):
    (filled.models / "base" / "entry.json").unlink()
    entry = next(entry for entry in cache_entries(filled) if entry.key == "base")
    assert entry.description.startswith("damaged: entry.json")
    assert entry.size == 5000
    assert "base" in keys(prune(filled, older_than=3600 * 100, now=NOW).removed)


def test_foreign_files_are_left_alone(filled):
    (filled.models / ".DS_Store").write_text("")
    assert keys(cache_entries(filled, ["models"])) == ["base"]
    clear(filled)
    assert (filled.models / ".DS_Store").exists()


def test_a_home_elsewhere_is_not_touched(filled, tmp_path):
    other = Home(tmp_path / "other")
    FolderCache(other, "models").get_or_build("x", "x", lambda folder: (folder / "a").touch())
    clear(filled)
    assert keys(cache_entries(other)) == ["x"]
