from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store import FolderCache, JsonlWriter, format_bytes, read_jsonl, write_atomic
from harness.store.disk import folder_bytes, saving


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (3 * 2**30, "3.0 GiB"), (2**50, "1024.0 TiB")],
)
def test_bytes_for_people(count, text):
    assert format_bytes(count) == text


def test_an_atomic_write_replaces_the_whole_file(tmp_path):
    write_atomic(tmp_path / "deep" / "a", b"old and long", "it")
    write_atomic(tmp_path / "deep" / "a", b"new", "it")
    assert (tmp_path / "deep" / "a").read_bytes() == b"new"
    assert os.listdir(tmp_path / "deep") == ["a"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_way_of_having_no_space(tmp_path, number):
    said = r"no space to save the model in .* \(2\.0 KiB needed, .* free\)"
    with pytest.raises(StoreError, match=said), saving("the model", tmp_path / "not" / "there", 2048):
        raise OSError(number, os.strerror(number))


def test_other_errors_of_the_work_inside_pass(tmp_path):
    with pytest.raises(FileNotFoundError), saving("the model", tmp_path):
        (tmp_path / "none").read_bytes()
    with pytest.raises(PermissionError), saving("the model", tmp_path):
        raise PermissionError(errno.EACCES, "no", "/somewhere/else")


def test_a_path_that_cannot_be_written_is_said(tmp_path):
    said = r"cannot save the model in .*: Permission denied"
    with pytest.raises(StoreError, match=said), saving("the model", tmp_path):
        raise PermissionError(errno.EACCES, "no", str(tmp_path / "weights"))


def test_folder_bytes_counts_all_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"x" * 10)
    (tmp_path / "sub" / "b").write_bytes(b"x" * 5)
    (tmp_path / "broken").symlink_to("nowhere")
    assert folder_bytes(tmp_path) == 15


def test_jsonl_to_a_full_device_is_said():
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    said = r"no space to save results in /dev/full: No space left"
    with JsonlWriter(Path("/dev/full")) as writer, pytest.raises(StoreError, match=said):
        writer.write({"n": 1})


SMALL_FILES = """
import resource, sys
from pathlib import Path
from harness.errors import StoreError
from harness.store import FolderCache, JsonlWriter, write_atomic, write_manifest

folder = Path(sys.argv[1])
write_manifest(folder, {"old": True})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with JsonlWriter(folder / "results.jsonl") as writer:
    for n in range(100):
        try:
            writer.write({"n": n, "text": "x" * 70})
        except StoreError as error:
            print(n, str(error).splitlines()[0])
            break
try:
    write_manifest(folder, {"new": "x" * 2000})
except StoreError as error:
    print(str(error).splitlines()[0])
"""


def test_a_file_that_cannot_grow_stays_whole(tmp_path, start):
    """The line that did not fit is cut off again, and the old manifest stays."""
    lines, manifest = start(SMALL_FILES, tmp_path).finish().splitlines()
    count, _, message = lines.partition(" ")
    assert "no space to save results in" in message
    assert [row["n"] for row in read_jsonl(tmp_path / "results.jsonl")] == list(range(int(count)))
    assert (tmp_path / "results.jsonl").read_bytes().endswith(b"}\n")
    assert "no space to save the manifest" in manifest
    assert '"old"' in (tmp_path / "manifest.json").read_text()
    assert sorted(os.listdir(tmp_path)) == ["manifest.json", "results.jsonl"]


FULL_DISK = """
import sys
from pathlib import Path
from harness.errors import StoreError
from harness.store import FolderCache, Home, RunStore, verify
from harness.types import Decoding, Generation

home = Home(Path(sys.argv[1]))

def reply(n):
    return Generation(str(n), str(n), "m", "x" * 5000, (), (), "stop", Decoding())

cache = FolderCache(home, "models")
old = cache.get_or_build("old", "the old model", lambda folder: (folder / "a.bin").write_bytes(b"x" * 100_000))
stored = 0
with RunStore(home.runs_db) as store:
    store.put_generation(reply(0))
    try:
        cache.get_or_build("new", "the new model", lambda folder: (folder / "a.bin").write_bytes(b"x" * 4_000_000))
    except StoreError as error:
        print(str(error).splitlines()[0])
    try:
        for stored in range(1, 1000):
            store.put_generation(reply(stored))
    except StoreError as error:
        print(str(error).splitlines()[0])
    found = store.generations(str(n) for n in range(1000))
    assert set(found) == {str(n) for n in range(stored)}, (stored, len(found))
assert cache.find("old") == old and cache.find("new") is None and not verify(home)
with RunStore(home.runs_db) as store:
    assert len(store.generations(str(n) for n in range(1000))) == stored and not store.check()
print("whole", stored)
"""


def test_a_really_full_disk(tmp_path, mounted):
    output = mounted(f"mount -t tmpfs -o size=2m none {tmp_path}", FULL_DISK, tmp_path / "home")
    model, replies, whole = output.splitlines()
    assert model.startswith("no space to save the new model in ")
    assert "No space left on device" in model
    assert replies.startswith("no space to save results in ")
    assert whole.startswith("whole ")
    assert int(whole.split()[1]) > 10


READ_ONLY = """
import sys
from pathlib import Path
from harness.errors import StoreError
from harness.store import FolderCache, Home, RunStore, cache_entries, file_digest

home = Home(Path(sys.argv[1]))
cache = FolderCache(home, "models")
path = cache.find("old")
assert path is not None
file_digest(path / "a.bin", home)
assert [entry.key for entry in cache_entries(home)] == ["old"]
for use in (
    lambda: cache.get_or_build("new", "the new model", lambda folder: None),
    lambda: cache.remove("old"),
    lambda: RunStore(home.runs_db),
    lambda: Home(home.root / "sub").create(),
):
    try:
        use()
    except StoreError as error:
        print(str(error).splitlines()[0])
"""


def test_a_read_only_home_can_be_read(tmp_path, home, mounted):
    FolderCache(home, "models").get_or_build("old", "it", lambda folder: (folder / "a.bin").write_bytes(b"x") and None)
    remount = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path}"
    lines = mounted(remount, READ_ONLY, home.root).splitlines()
    assert len(lines) == 4
    for line in lines[:2]:
        assert line.startswith("cannot save a lock file")
    assert "cannot be used: unable to open database file" in lines[2]
    assert "cannot save the harness home" in lines[3]
