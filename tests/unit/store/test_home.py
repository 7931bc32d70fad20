from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store import CACHE_KINDS, Home


def test_explicit_home_wins_over_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "variable"))
    assert Home.find(tmp_path / "explicit").root == tmp_path / "explicit"


def test_variable_wins_over_the_current_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "variable"))
    assert Home.find().root == tmp_path / "variable"


@pytest.mark.parametrize("value", [None, ""])
def test_default_is_in_the_current_directory(monkeypatch, tmp_path, value):
    monkeypatch.delenv("HARNESS_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("HARNESS_HOME", value)
    monkeypatch.chdir(tmp_path)
    assert Home.find().root == tmp_path / ".harness"


def test_a_tilde_is_the_users_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home.find(Path("~/models")).root == tmp_path / "models"


def test_a_home_stays_where_it_is_when_the_directory_changes(monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    home = Home(Path("here"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert home.models == tmp_path / "here" / "models"


def test_making_the_value_touches_no_file(home):
    for kind in CACHE_KINDS:
        assert home.cache(kind) == home.root / kind
    assert not home.root.exists()


def test_create_tells_git_and_backups_to_leave_it_alone(home):
    home.create()
    home.create()
    assert (home.root / ".gitignore").read_text() == "*\n"
    assert (home.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_a_file_in_the_way_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"(?s)cannot save the harness home .*HARNESS_HOME"):
        Home(tmp_path / "file" / "home").create()
