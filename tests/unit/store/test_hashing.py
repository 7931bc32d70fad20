from __future__ import annotations

import enum
import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StoreError
from harness.store import canonical_json, digest, file_digest, folder_digest
from harness.store import digests as digests_module
from harness.types import Case, Decoding, Message, to_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_digest_is_sha256_of_canonical_json():
    # the text written by hand, and hashed by another program's rules
    text = '{"a":[1,1.5,true,null],"b":"\\u00e4"}'
    value = {"b": "ä", "a": (1, 1.5, True, None)}
    assert canonical_json(value) == text
    assert digest(value) == hashlib.sha256(text.encode()).hexdigest()


def test_a_noun_has_the_digest_of_its_json():
    case = Case("1", (Message("user", "hi"),), meta=MappingProxyType({"path": Path("/a")}))
    assert digest([case, Decoding()]) == digest(to_json([case, Decoding()]))


@settings(deadline=None)
@given(JSON)
def test_order_of_keys_does_not_matter(value):
    def reverse(inner):
        if isinstance(inner, dict):
            return {key: reverse(inner[key]) for key in reversed(list(inner))}
        return [reverse(item) for item in inner] if isinstance(inner, list) else inner

    assert digest(value) == digest(reverse(value))


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), ("1", 1), (None, ""), ([], {}), (["ab"], ["a", "b"]), ("é", "e\u0301")]
)
def test_different_values_differ(one, other):
    assert digest(one) != digest(other)


def test_lone_surrogates_have_a_digest():
    assert digest("\ud800") != digest("?")


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), enum.Enum])
def test_what_has_no_json_form_is_refused(value):
    with pytest.raises(TypeError, match="cannot be part of a content key"):
        digest({"a": value})


def test_digests_are_the_same_in_another_process():
    code = "from harness.store import digest; print(digest({'b': ['x', 2.5], 'a': {'z': 1, 'y': None}}))"
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert printed.strip() == digest({"a": {"y": None, "z": 1}, "b": ("x", 2.5)})


# ---------------------------------------------------------------- files


@pytest.fixture
def settled(monkeypatch):
    """Let files count as written long ago."""
    now = digests_module.time.time_ns
    monkeypatch.setattr(digests_module.time, "time_ns", lambda: now() + 10_000_000_000)


@pytest.fixture
def hashed(monkeypatch):
    """The files that were really read."""
    read = []
    real = hashlib.file_digest

    def spy(file, name):
        read.append(Path(file.name).name)
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", spy)
    return read


@pytest.mark.parametrize("content", [b"", b"a", b"\x00" * 300_000])
def test_file_digest_is_the_sha256_of_the_content(tmp_path, home, content):
    (tmp_path / "f").write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert file_digest(tmp_path / "f") == expected
    assert file_digest(tmp_path / "f", home) == expected
    assert file_digest(tmp_path / "f", home) == expected


def test_an_unchanged_file_is_read_once(tmp_path, home, settled, hashed):
    (tmp_path / "f").write_bytes(b"abc")
    first = file_digest(tmp_path / "f", home)
    assert file_digest(tmp_path / "f", home) == first
    assert hashed == ["f"]


def test_without_a_home_it_is_read_each_time(tmp_path, settled, hashed):
    (tmp_path / "f").write_bytes(b"abc")
    file_digest(tmp_path / "f")
    file_digest(tmp_path / "f")
    assert hashed == ["f", "f"]


def test_a_file_written_just_now_is_not_remembered(tmp_path, home, hashed):
    (tmp_path / "f").write_bytes(b"abc")
    file_digest(tmp_path / "f", home)
    file_digest(tmp_path / "f", home)
    assert hashed == ["f", "f"]


@pytest.mark.parametrize("tick", [1, 10_000_000, 2_000_000_000])
def test_a_write_within_a_tick_of_the_clock_is_seen(tmp_path, home, monkeypatch, tick):
    """Rewriting as fast as possible with the size kept; on a coarse clock the rewrites share their whole stat."""
    real = digests_module._stat

    def coarse(stat):
        size, mtime, ctime, *rest = real(stat)
        return (size, mtime // tick * tick, ctime // tick * tick, *rest)

    monkeypatch.setattr(digests_module, "_stat", coarse)
    file = tmp_path / "f"
    for number in range(200):
        file.write_bytes(b"%04d" % number)
        assert file_digest(file, home) == hashlib.sha256(b"%04d" % number).hexdigest()


def test_a_change_that_keeps_size_and_mtime_is_seen(tmp_path, home, settled):
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    stat = file.stat()
    old = file_digest(file, home)
    while file.stat().st_ctime_ns == stat.st_ctime_ns:
        file.write_bytes(b"abd")
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_mtime_ns == stat.st_mtime_ns
    assert file_digest(file, home) != old


def test_a_replaced_file_is_seen(tmp_path, home, settled):
    file, new = tmp_path / "f", tmp_path / "g"
    file.write_bytes(b"abc")
    new.write_bytes(b"abd")
    os.utime(new, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    old = file_digest(file, home)
    new.replace(file)
    assert file_digest(file, home) != old


def test_a_link_that_points_elsewhere_is_seen(tmp_path, home, settled):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"abd")
    link = tmp_path / "link"
    link.symlink_to("a")
    old = file_digest(link, home)
    link.unlink()
    link.symlink_to("b")
    assert file_digest(link, home) != old


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path, home, settled, monkeypatch):
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    real = hashlib.file_digest

    def slow(opened, name):
        result = real(opened, name)
        file.write_bytes(b"abcd")
        return result

    monkeypatch.setattr(hashlib, "file_digest", slow)
    file_digest(file, home)
    monkeypatch.undo()
    assert file_digest(file, home) == hashlib.sha256(b"abcd").hexdigest()


def test_names_that_are_not_unicode_are_remembered(tmp_path, home, settled, hashed):
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    file.write_bytes(b"abc")
    assert file_digest(file, home) == file_digest(file, home) == hashlib.sha256(b"abc").hexdigest()
    assert len(hashed) == 1


def test_a_missing_file_is_said(tmp_path, home):
    with pytest.raises(StoreError, match=r"cannot read .*/none: No such file"):
        file_digest(tmp_path / "none", home)
    with pytest.raises(StoreError, match="Is a directory"):
        file_digest(tmp_path, home)


@pytest.mark.parametrize(
    "content", [b"this is no database, and long enough to be read as a header" * 40, b"\x00" * 5000]
)
def test_a_damaged_digest_file_is_made_anew(tmp_path, home, settled, hashed, content):
    home.create()
    home.digests_db.write_bytes(content)
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f", home) == hashlib.sha256(b"abc").hexdigest()
    file_digest(tmp_path / "f", home)
    assert hashed == ["f"]


def test_a_locked_digest_file_only_costs_time(tmp_path, home, settled, monkeypatch):
    (tmp_path / "f").write_bytes(b"abc")
    file_digest(tmp_path / "f", home)
    monkeypatch.setattr(
        digests_module.sqlite3, "connect", lambda path, **kw: sqlite3.Connection(path, **{**kw, "timeout": 0})
    )
    other = sqlite3.Connection(home.digests_db, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        (tmp_path / "g").write_bytes(b"abd")
        assert file_digest(tmp_path / "g", home) == hashlib.sha256(b"abd").hexdigest()
    finally:
        other.close()


def test_many_processes_share_one_digest_file(tmp_path, home, start):
    for number in range(40):
        (tmp_path / f"f{number}").write_bytes(b"%d" % number)
        os.utime(tmp_path / f"f{number}", (1, 1))
    code = """
import sys, time
from pathlib import Path
from harness.store import Home, file_digest, digests
digests.RACY_NS = -10**18
folder, home = Path(sys.argv[1]), Home(Path(sys.argv[2]))
for _ in range(5):
    print([file_digest(folder / f"f{n}", home) for n in range(40)])
"""
    expected = str([hashlib.sha256(b"%d" % number).hexdigest() for number in range(40)])
    others = [start(code, tmp_path, home.root) for _ in range(4)]
    for other in others:
        assert other.finish().splitlines() == [expected] * 5
    rows = sqlite3.connect(home.digests_db)
    assert rows.execute("SELECT count(*) FROM digests").fetchone() == (40,)
    rows.close()


# -------------------------------------------------------------- folders


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "sub" / "more.safetensors").write_bytes(b"more")
    (folder / "README.md").write_text("read me")
    return folder


def test_folder_digest_depends_on_what_matches(folder, home):
    patterns = ("*.safetensors", "config.json")
    first = folder_digest(folder, patterns, home)
    (folder / "README.md").write_text("changed")
    assert folder_digest(folder, patterns, home) == first
    (folder / "config.json").write_text("{ }")
    assert folder_digest(folder, patterns, home) != first


def test_folder_digest_does_not_depend_on_where_it_lies_or_on_overlap(folder, home, tmp_path):
    first = folder_digest(folder, ("**/*",), home)
    assert folder_digest(folder, ("**/*.safetensors", "*", "**/*"), home) == first
    folder.rename(tmp_path / "moved")
    assert folder_digest(tmp_path / "moved", ("**/*",)) == first


def test_folder_digest_depends_on_names(folder):
    first = folder_digest(folder)
    (folder / "config.json").rename(folder / "configs.json")
    assert folder_digest(folder) != first


def test_swapped_contents_are_seen(folder):
    first = folder_digest(folder)
    (folder / "config.json").write_bytes(b"weights")
    (folder / "model.safetensors").write_bytes(b"{}")
    assert folder_digest(folder) != first


def test_files_of_a_hub_cache_are_links(folder, tmp_path):
    linked = tmp_path / "snapshot"
    linked.mkdir()
    for file in folder.glob("*"):
        if file.is_file():
            (linked / file.name).symlink_to(file)
    assert folder_digest(linked, ("*",)) == folder_digest(folder, ("*",))


def test_no_match_is_an_error(folder):
    with pytest.raises(StoreError, match=r"no file in .* matches \*\.bin, \*\.pt"):
        folder_digest(folder, ("*.bin", "*.pt"))
