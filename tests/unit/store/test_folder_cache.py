from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store import FolderCache, Home, read_record, try_hold

KEY = "0123abcd"


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def cache(home, warnings):
    return FolderCache(home, "adapters", on_warning=warnings.append)


def build(folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_bytes(b"weights" * 100)
    (folder / "sub").mkdir()
    (folder / "sub" / "config.json").write_text("{}")


def never(folder: Path) -> None:
    raise AssertionError("built again")


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "entry.json"
    }


BUILT = {"adapter_model.safetensors": b"weights" * 100, "sub/config.json": b"{}"}


def test_nothing_is_found_in_an_empty_home(cache, home):
    assert cache.find(KEY) is None
    assert cache.keys() == []
    assert not home.root.exists(), "looking makes no folder"


def test_an_entry_is_built_once(cache, home):
    path = cache.get_or_build(KEY, "an adapter", build, info={"rank": 16})
    assert path == home.adapters / KEY
    assert content(path) == BUILT
    assert cache.get_or_build(KEY, "an adapter", never) == path
    assert FolderCache(home, "adapters").find(KEY) == path
    assert FolderCache(home, "models").find(KEY) is None
    assert cache.keys() == [KEY]


def test_the_record_says_what_it_is(cache):
    record = read_record(cache.get_or_build(KEY, "an adapter", build, info={"rank": 16, "base": Path("/b")}))
    assert (record.kind, record.key, record.description) == ("adapters", KEY, "an adapter")
    assert record.info == {"rank": 16, "base": "/b"}
    assert record.size == 702
    assert set(record.files) == set(BUILT)


def test_info_without_json_form_is_refused_before_the_build(cache):
    with pytest.raises(TypeError, match="object"):
        cache.get_or_build(KEY, "an adapter", never, info={"x": object()})


def test_a_builder_that_raises_leaves_nothing(cache):
    def fail(folder):
        build(folder)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        cache.get_or_build(KEY, "an adapter", fail)
    assert cache.find(KEY) is None
    assert list(cache.folder.glob("*/*")) == []
    assert content(cache.get_or_build(KEY, "an adapter", build)) == BUILT


def test_a_builder_that_writes_nothing_is_an_error(cache):
    with pytest.raises(StoreError, match="no file was written for an adapter"):
        cache.get_or_build(KEY, "an adapter", lambda folder: None)
    assert cache.find(KEY) is None


@pytest.mark.parametrize("key", ["", "..", ".hidden", "a/b", "a b", "-x", "a" * 201, "a\n"])
def test_a_key_that_is_no_file_name_is_refused(cache, key):
    with pytest.raises(ValueError, match="not a cache key"):
        cache.find(key)


# ---------------------------------------------------------------- damage


def flip_a_byte(path: Path) -> None:
    file = path / "adapter_model.safetensors"
    data = bytearray(file.read_bytes())
    data[350] ^= 1
    file.write_bytes(data)


def flip_a_byte_and_keep_the_times(path: Path) -> None:
    file = path / "adapter_model.safetensors"
    stat = file.stat()
    flip_a_byte(path)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def truncate(path: Path) -> None:
    os.truncate(path / "adapter_model.safetensors", 100)


def remove_a_file(path: Path) -> None:
    (path / "sub" / "config.json").unlink()


def put_a_folder_in_place_of_a_file(path: Path) -> None:
    remove_a_file(path)
    (path / "sub" / "config.json").mkdir()


def remove_the_record(path: Path) -> None:
    (path / "entry.json").unlink()


def cut_the_record(path: Path) -> None:
    os.truncate(path / "entry.json", 30)


def empty_the_record(path: Path) -> None:
    (path / "entry.json").write_text("{}")


def forge_the_record(path: Path) -> None:
    data = json.loads((path / "entry.json").read_text())
    data["description"] = "another adapter"
    (path / "entry.json").write_text(json.dumps(data))


def forget_a_file_in_the_record(path: Path) -> None:
    data = json.loads((path / "entry.json").read_text())
    del data["files"]["sub/config.json"]
    (path / "entry.json").write_text(json.dumps(data))


DAMAGES = [
    (flip_a_byte, "adapter_model.safetensors: the content changed"),
    (flip_a_byte_and_keep_the_times, "adapter_model.safetensors: the content changed"),
    (truncate, "adapter_model.safetensors: 100 bytes instead of 700"),
    (remove_a_file, "sub/config.json: No such file"),
    (put_a_folder_in_place_of_a_file, "sub/config.json"),
    (remove_the_record, "entry.json: No such file"),
    (cut_the_record, "entry.json is damaged"),
    (empty_the_record, "entry.json is damaged"),
    (forge_the_record, "entry.json is damaged: its own digest differs"),
    (forget_a_file_in_the_record, "entry.json is damaged: its own digest differs"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_a_damaged_entry_is_reported_set_aside_and_built_anew(cache, warnings, damage, said):
    path = cache.get_or_build(KEY, "an adapter", build)
    assert cache.find(KEY) == path
    damage(path)
    assert any(said in problem for problem in cache.problems(KEY, thorough=True))
    assert cache.find(KEY) is None
    assert len(warnings) == 1
    assert said in warnings[0]
    assert f"adapters/{KEY} is damaged and will be built anew" in warnings[0]
    aside = cache.folder / ".damaged" / KEY
    assert str(aside) in warnings[0]
    assert aside.is_dir()
    assert cache.find(KEY) is None
    assert len(warnings) == 1, "said once"
    assert content(cache.get_or_build(KEY, "an adapter", build)) == BUILT
    assert cache.find(KEY) == path


def test_damage_is_found_by_get_or_build_too(cache, warnings):
    path = cache.get_or_build(KEY, "an adapter", build)
    flip_a_byte(path)
    assert content(cache.get_or_build(KEY, "an adapter", build)) == BUILT
    assert len(warnings) == 1


def test_the_second_damage_replaces_what_was_set_aside(cache, warnings):
    for _ in range(2):
        truncate(cache.get_or_build(KEY, "an adapter", build))
        assert cache.find(KEY) is None
    assert len(warnings) == 2
    assert len(list((cache.folder / ".damaged").iterdir())) == 1


def test_without_a_callback_damage_is_logged(home, caplog):
    cache = FolderCache(home, "models")
    truncate(cache.get_or_build(KEY, "a model", build))
    assert cache.find(KEY) is None
    assert "models/0123abcd is damaged" in caplog.text


def test_files_that_came_later_do_no_harm(cache):
    path = cache.get_or_build(KEY, "an adapter", build)
    (path / "notes.txt").write_text("mine")
    assert cache.find(KEY) == path


# ---------------------------------------------------- several processes

BUILD = """
import os, sys, time
from pathlib import Path
from harness.store import FolderCache, Home

home, log, key = Home(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]

def build(folder):
    with log.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    (folder / "a.bin").write_bytes(b"x" * 1000)
    print("building", flush=True)
    sys.stdin.readline()
    (folder / "b.bin").write_bytes(b"y" * 1000)

cache = FolderCache(home, "adapters", on_warning=lambda text: print("warning:", text, flush=True))
path = cache.get_or_build(key, "the adapter", build, on_wait=lambda text: print("told:", text, flush=True))
print("done", path, sorted(file.name for file in path.iterdir()), flush=True)
"""


def test_two_processes_at_once_build_once(home, tmp_path, start):
    log = tmp_path / "log"
    first = start(BUILD, home.root, log, KEY)
    assert first.line() == "building"
    second = start(BUILD, home.root, log, KEY)
    told = second.line()
    assert told.startswith(f"told: waiting for process {first.pid} (building the adapter, for ")
    first.tell()
    done = f"done {home.adapters / KEY} ['a.bin', 'b.bin', 'entry.json']"
    assert first.line() == done
    assert second.line() == done
    assert log.read_text().split() == [str(first.pid)]


def test_other_keys_are_built_meanwhile(home, tmp_path, start):
    first = start(BUILD, home.root, tmp_path / "log", KEY)
    first.line()
    second = start(BUILD, home.root, tmp_path / "log", "another")
    assert second.line() == "building"
    second.tell()
    assert second.line().startswith("done")
    first.tell()
    assert first.line().startswith("done"), "the other build left this one's folder alone"


def test_a_killed_build_is_taken_over_by_who_waits(home, tmp_path, start):
    log = tmp_path / "log"
    first = start(BUILD, home.root, log, KEY)
    first.line()
    second = start(BUILD, home.root, log, KEY)
    assert "told" in second.line()
    first.process.send_signal(signal.SIGKILL)
    assert second.line() == "building"
    second.tell()
    assert second.line() == f"done {home.adapters / KEY} ['a.bin', 'b.bin', 'entry.json']"
    assert log.read_text().split() == [str(first.pid), str(second.pid)]


def test_what_a_killed_build_left_is_not_an_entry_and_goes_with_the_next_build(home, tmp_path, start, cache):
    others = [start(BUILD, home.root, tmp_path / "log", key) for key in (KEY, "another")]
    for other in others:
        assert other.line() == "building"
    for other in others:
        other.kill()
    left = cache.folder / ".building"
    assert sorted(path.name.partition("~")[0] for path in left.iterdir()) == [KEY, "another"]
    assert cache.find(KEY) is None
    assert cache.keys() == []
    assert content(cache.get_or_build("third", "an adapter", build)) == BUILT
    assert list(left.iterdir()) == []


def test_a_survivor_of_a_killed_build_cannot_write_into_the_next(cache):
    """A training child outlives its killed parent for a moment, and writes where it was told to."""
    folders = []

    def fail(folder):
        folders.append(folder)
        raise RuntimeError

    def build_beside_a_survivor(folder):
        folders.append(folder)
        folders[0].mkdir(exist_ok=True)
        (folders[0] / "adapter_model.safetensors").write_bytes(b"old weights")
        build(folder)

    with pytest.raises(RuntimeError):
        cache.get_or_build(KEY, "an adapter", fail)
    assert content(cache.get_or_build(KEY, "an adapter", build_beside_a_survivor)) == BUILT
    assert folders[0] != folders[1]
    assert cache.sweep() == len(b"old weights")


def test_what_is_left_of_the_same_key_goes_with_its_next_build(home, tmp_path, start, cache):
    other = start(BUILD, home.root, tmp_path / "log", KEY)
    other.line()
    other.kill()
    cache.get_or_build(KEY, "an adapter", build)
    assert list((cache.folder / ".building").iterdir()) == []


def test_a_damaged_entry_that_another_process_is_replacing_is_left_to_it(home, tmp_path, start, cache, warnings):
    path = cache.get_or_build(KEY, "an adapter", build)
    truncate(path)
    other = start(BUILD, home.root, tmp_path / "log", KEY)
    assert "is damaged" in other.line()
    assert other.line() == "building"
    truncate(cache.get_or_build("another", "another", build))
    with try_hold(cache.lock("another"), "replacing it"):
        assert cache.find("another") is None
    assert cache.path("another").is_dir()
    assert cache.find(KEY) is None
    assert warnings == []
    other.tell()
    assert other.line().startswith("done")
    assert cache.find(KEY) == path


def test_many_processes_at_once(home, tmp_path, start):
    """All at once, on two keys, with builders that take no time."""
    code = BUILD.replace("sys.stdin.readline()", "")
    others = [start(code, home.root, tmp_path / "log", key) for key in ("one", "two") * 4]
    for other in others:
        assert "done" in other.finish()
    assert len((tmp_path / "log").read_text().split()) == 2


# ------------------------------------------------------------- full disk

LIMITED = """
import resource, sys
from pathlib import Path
from harness.errors import StoreError
from harness.store import FolderCache, Home

home = Home(Path(sys.argv[1]))
cache = FolderCache(home, "adapters")
cache.get_or_build("old", "the old adapter", lambda folder: (folder / "a.bin").write_bytes(b"x" * 1000))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    cache.get_or_build("new", "the new adapter", lambda folder: (folder / "a.bin").write_bytes(b"x" * 200_000))
except StoreError as error:
    print(error)
print(cache.find("old"), cache.find("new"), list((home.adapters / ".building").iterdir()))
"""


def test_a_full_disk_is_said_and_what_was_there_is_whole(home, start):
    """A limit on file sizes stands in for a full disk: the same call fails half way."""
    message, hint, state = start(LIMITED, home.root).finish().splitlines()
    assert message.startswith("no space to save the new adapter in ")
    assert "File too large" in message
    assert "free). What was stored before is whole." in message
    assert "harness cache prune" in hint
    assert state == f"{home.adapters / 'old'} None []"


def test_too_little_space_is_said_before_the_work_begins(cache):
    with pytest.raises(StoreError, match=r"no space to save an adapter .*\(1024\.0 TiB needed, .* free\)"):
        cache.get_or_build(KEY, "an adapter", never, needed=2**50)
    assert cache.find(KEY) is None
    assert content(cache.get_or_build(KEY, "an adapter", build, needed=1000)) == BUILT


def test_a_home_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot save the harness home"):
        FolderCache(Home(tmp_path / "file" / "home"), "models").get_or_build(KEY, "a model", build)
