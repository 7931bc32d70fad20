from __future__ import annotations

import io
import os
import shutil
import time

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from harness.cli.cache import app, parse_age, parse_kinds, parse_size
from harness.cli.tables import age, print_table
from harness.store import CACHE_KINDS, FolderCache, Home, RunStore, cache_entries


@pytest.fixture
def home(tmp_path):
    """Entries of a process that is gone: its marks of use are removed."""
    home = Home(tmp_path / "home")
    for kind, key, size, days in (
        ("models", "base", 5000, 2),
        ("adapters", "old", 300, 30),
        ("adapters", "new", 700, 0),
    ):
        path = FolderCache(home, kind).get_or_build(
            key, f"the [bold] {key} one", lambda folder, size=size: (folder / "a.bin").write_bytes(b"x" * size)
        )
        os.utime(path / "entry.json", (time.time() - days * 86400,) * 2)
    shutil.rmtree(home.locks)
    return home


def run(home, *arguments, code=0, **options):
    done = CliRunner().invoke(app, [*arguments, "--home", str(home.root)], **options)
    assert done.exit_code == code, done.output
    return done.output


def keys(home):
    return sorted(entry.key for entry in cache_entries(home))


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("17", 17), ("1k", 1024), ("500MB", 500 * 2**20), ("1.5 GiB", 3 * 2**29), ("2tb", 2**41), ("9b", 9)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "GB", "-1GB", "1PB", "1.GB", "1 2GB"])
def test_what_is_no_size(text):
    with pytest.raises(typer.BadParameter, match=r"is not a size: .* as in 500MB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90m", 5400), ("12h", 43200), ("14d", 1209600), ("2W", 1209600), ("0.5h", 1800)]
)
def test_times(text, seconds):
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "14", "d", "-1d", "1y"])
def test_what_is_no_time(text):
    with pytest.raises(typer.BadParameter, match=r"is not a time: .* as in 14d"):
        parse_age(text)


def test_kinds():
    assert parse_kinds(None) == parse_kinds([]) == CACHE_KINDS
    assert parse_kinds(["models", "prepared"]) == ["models", "prepared"]
    with pytest.raises(typer.BadParameter, match="model, x: the kinds are models, merged, adapters, prepared"):
        parse_kinds(["model", "models", "x"])


def test_ls_without_a_terminal_is_a_line_per_entry_with_tabs(home):
    header, *lines = run(home, "ls").splitlines()
    assert header.split("\t") == ["kind", "key", "size", "last used", "created", "what", "state"]
    assert [line.split("\t")[:4] for line in lines] == [
        ["adapters", "new", "700 B", "just now"],
        ["models", "base", "4.9 KiB", "2 d ago"],
        ["adapters", "old", "300 B", "30 d ago"],
    ]
    assert lines[0].split("\t")[5] == "the [bold] new one", "descriptions are no markup"


def test_ls_of_one_kind_and_of_nothing(home, tmp_path):
    assert len(run(home, "ls", "models").splitlines()) == 2
    assert run(Home(tmp_path / "none"), "ls") == f"nothing is cached in {tmp_path / 'none'}\n"
    assert not (tmp_path / "none").exists()
    assert "the kinds are models" in run(home, "ls", "modells", code=2)


def test_ls_says_who_uses_what(home):
    FolderCache(home, "models").find("base")
    assert f"in use by {os.getpid()}" in run(home, "ls", "models")


def test_ls_of_a_damaged_entry(home):
    (home.models / "base" / "entry.json").write_text("{")
    assert "damaged: entry.json" in run(home, "ls", "models")


def test_prune_by_age_and_size(home):
    output = run(home, "prune", "--older-than", "14d")
    assert "removed adapters/old (300 B): the [bold] old one" in output
    assert keys(home) == ["base", "new"]
    run(home, "prune", "--max-size", "1k")
    assert keys(home) == ["new"]


def test_prune_dry_run_removes_nothing(home):
    output = run(home, "prune", "--older-than", "1d", "--dry-run")
    assert "would remove adapters/old (300 B)" in output
    assert "would free 5.2 KiB" in output
    assert keys(home) == ["base", "new", "old"]


def test_prune_without_limits_says_so(home):
    assert "--older-than 14d" in run(home, "prune")
    assert keys(home) == ["base", "new", "old"]


def test_prune_keeps_what_is_in_use(home):
    FolderCache(home, "adapters").find("old")
    output = run(home, "prune", "--max-size", "0")
    assert f"kept adapters/old (300 B): the [bold] old one, in use by {os.getpid()}" in output
    assert keys(home) == ["old"]


def test_clear_asks_first(home):
    output = run(home, "clear", input="n\n", code=1)
    assert f"Remove 3 entries (5.9 KiB) from {home.root}?" in output
    assert keys(home) == ["base", "new", "old"]
    run(home, "clear", "adapters", input="y\n")
    assert keys(home) == ["base"]
    run(home, "clear", "--yes")
    assert keys(home) == []
    assert run(home, "clear") == "freed 0 B\n"


def test_verify(home):
    RunStore(home.runs_db).close()
    assert run(home, "verify") == "all entries and the run store are whole\n"
    (home.models / "base" / "a.bin").write_bytes(b"x" * 4999 + b"y")
    output = run(home, "verify", code=1)
    assert "damaged: models/base: a.bin: the content changed\n" in output
    assert "built anew when it is needed next" in output
    assert run(home, "verify", "adapters") == "all entries and the run store are whole\n"


def test_verify_looks_at_the_run_store(home):
    home.runs_db.write_text("not a database, and long enough to be read as the header of one " * 20)
    assert "damaged: the run store: the run store" in run(home, "verify", code=1)


def test_a_table_on_a_terminal_cuts_nothing():
    file = io.StringIO()
    out = Console(file=file, force_terminal=True, width=40, color_system=None, legacy_windows=False)
    print_table(out, ("key", "what"), [("k" * 60, "a [bold]word[/bold]")], right=("key",))
    assert file.getvalue().count("k") == 61
    assert "\t" not in file.getvalue()
    assert "[bold]" in file.getvalue().replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "just now"), (59, "just now"), (60, "1 min ago"), (7200, "2 h ago"), (86400, "1 d ago")]
)
def test_ages(seconds, text):
    assert age(seconds) == text
