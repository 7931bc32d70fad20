import importlib
import sys

import pytest


@pytest.fixture
def progress():
    return importlib.import_module("progress")


def test_output_goes_to_the_log_and_not_to_the_screen(progress, tmp_path, capsys):
    log = tmp_path / "log"
    progress.run_logged([sys.executable, "-c", "print('first'); print('second')"], log, tmp_path)
    text = log.read_text()
    assert text.startswith("$ ")
    assert text.endswith("first\nsecond\n")
    assert capsys.readouterr().out == ""


def test_a_failure_shows_the_end_of_the_output(progress, tmp_path):
    code = "import sys\nfor i in range(100): print('line', i)\nprint('the reason', file=sys.stderr)\nsys.exit(3)"
    with pytest.raises(progress.CommandError) as caught:
        progress.run_logged([sys.executable, "-u", "-c", code], tmp_path / "log", tmp_path)
    message = str(caught.value)
    assert "ended with code 3" in message
    assert "the reason" in message
    assert "line 99" in message
    assert "line 70\n" not in message
    assert str(tmp_path / "log") in message
    assert "line 0\n" in (tmp_path / "log").read_text()


def test_breaking_off_ends_the_command(progress, tmp_path, monkeypatch):
    def interrupt(process, tail, started):
        interrupt.process = process
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "_watch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        progress.run_logged([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log", tmp_path)
    assert interrupt.process.returncode is not None


def test_without_a_terminal_plain_lines_tell_that_it_goes_on(progress, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.05)
    code = "import time; print('Collecting torch==2.13.0', flush=True); time.sleep(1.5)"
    progress.run_logged([sys.executable, "-c", code], tmp_path / "log", tmp_path)
    out = capsys.readouterr().out
    assert "Collecting torch==2.13.0" in out
    assert "\r" not in out


def test_an_endless_line_is_cut_on_the_screen_only(progress, tmp_path):
    code = "import sys; print('x' * 5000); sys.exit(1)"
    with pytest.raises(progress.CommandError) as caught:
        progress.run_logged([sys.executable, "-c", code], tmp_path / "log", tmp_path)
    assert len(caught.value.tail[-1]) == progress.TAIL_WIDTH
    assert "x" * 5000 in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Collecting torch", "  Downloading torch-2.13.whl (190 MB)"], "Downloading torch-2.13.whl"),
        (["Collecting peft<0.22 (from x)", "WARNING: something"], "Collecting peft<0.22"),
        (["Installing collected packages: a, b, c"], "Installing packages"),
        (["nothing of interest"], ""),
        ([], ""),
    ],
)
def test_headline(progress, lines, expected):
    assert progress.headline(lines) == expected
