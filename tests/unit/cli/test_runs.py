from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from harness.cli.runs import app
from harness.errors import StoreError
from harness.store import Home, RunStore
from harness.types import Verdict


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    with RunStore(home.runs_db) as store:
        store.begin("20250101-aa", "f", {"label": "base [x]", "argv": ["pytest", "suites/", "-k", "two words"]})
        store.put_verdicts(
            [
                Verdict("20250101-aa", "t.py::test_a[1]", "test_a", "1", "suites/one", "pass"),
                Verdict(
                    "20250101-aa", "t.py::test_a[2]", "test_a", "2", "suites/one", "fail", reason="not [JSON]\nmore"
                ),
                Verdict("20250101-aa", "t.py::test_b[1]", "test_b", "1", "suites/one", "error", reason="engine died"),
                Verdict("20250101-aa", "t.py::test_b[2]", "test_b", "2", "suites/one", "unscored"),
            ]
        )
        store.finish("20250101-aa", "failed")
        store.begin("20250102-bb", "f", {"label": "adapter"})
    return home


def run(home, *arguments, code=0):
    done = CliRunner().invoke(app, [*arguments, "--home", str(home.root)])
    assert done.exit_code == code, done.output
    return done.output


def test_runs_are_listed_newest_first(home):
    header, *lines = (line.split("\t") for line in run(home).splitlines())
    assert header == ["run", "started", "took", "status", "pass", "fail", "unscored", "error", "model"]
    assert [line[0] for line in lines] == ["20250102-bb", "20250101-aa"]
    assert lines[0][2:] == ["", "running", "0", "0", "0", "0", "adapter"]
    assert lines[1][2:] == ["0 s", "failed", "1", "1", "1", "1", "base [x]"]
    assert len(run(home, "--limit", "1").splitlines()) == 2


def test_a_run_whose_process_is_gone_was_cut_short(home):
    code = (
        "import sys; from pathlib import Path; from harness.store import RunStore;"
        "RunStore(Path(sys.argv[1])).begin('20250103-cc', 'f', {})"
    )
    subprocess.run([sys.executable, "-c", code, home.runs_db], check=True)
    assert "\tcut short\t" in run(home).splitlines()[1]
    assert "cut short" in run(home, "show", "20250103")


def test_no_runs(tmp_path):
    home = Home(tmp_path / "none")
    assert run(home) == f"there are no runs in {home.root} yet\n"
    told = " ".join(run(home, "show", "x", code=2).replace("│", " ").split())  # however the box was wrapped
    assert "name another --home" in told
    assert not home.root.exists()
    RunStore(home.runs_db).close()
    assert run(home) == f"there are no runs in {home.root} yet\n"


def test_one_run_is_shown_with_its_failures(home):
    output = run(home, "show", "20250101")
    assert "run:      20250101-aa\n" in output
    assert "status:   failed\n" in output
    assert "model:    base [x]\n" in output
    assert "command:  pytest suites/ -k 'two words'\n" in output
    assert "suites/one\ttest_a\t1\t1\t0\t0\n" in output
    assert "suites/one\ttest_b\t0\t0\t1\t1\n" in output
    assert "\nfail: t.py::test_a[2]\n  not [JSON]\n" in output
    assert "\nerror: t.py::test_b[1]\n  engine died\n" in output
    assert "report:" not in output


def test_failures_can_be_limited(home):
    output = run(home, "show", "20250101", "--failures", "1")
    assert "t.py::test_a[2]" in output
    assert "t.py::test_b[1]" not in output
    assert "1 more failures: --failures 2" in output


def test_the_report_is_named_where_there_is_one(home, tmp_path):
    (tmp_path / "reports" / "20250101-aa").mkdir(parents=True)
    output = run(home, "show", "20250101", "--reports", str(tmp_path / "reports"))
    assert f"report:   {tmp_path / 'reports' / '20250101-aa'}\n" in output


def test_a_run_that_is_not_there(home):
    done = CliRunner().invoke(app, ["show", "nope", "--home", str(home.root)])
    assert isinstance(done.exception, StoreError)
    assert "The latest are 20250102-bb, 20250101-aa" in str(done.exception)


def test_home_may_stand_before_the_command(home):
    done = CliRunner().invoke(app, ["--home", str(home.root), "show", "20250101"])
    assert done.exit_code == 0, done.output
