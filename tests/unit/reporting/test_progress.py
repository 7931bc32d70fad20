import io

import pytest
from rich.console import Console

from harness.reporting.progress import LINE_SECONDS, Bars, Lines, duration, event_line, progress_printer


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(clock):
    written = []
    display = Lines(written.append, clock)
    display.written = written
    return display


def reply(done, total=100):
    return {"event": "reply", "done": done, "total": total, "errors": 0, "seconds": 1.0, "replies_per_second": 4.0}


def step(number, steps=10):
    return {"event": "step", "step": number, "steps": steps, "loss": 1.5, "tokens_per_second": 1234.0}


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (59.4, "59s"), (65, "1m 05s"), (7800, "2h 10m")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_a_stream_is_thinned_out(lines, clock):
    for done in range(1, 101):
        clock.now += 0.1
        lines.show(reply(done))
    assert len(lines.written) == 10 / LINE_SECONDS - 1


def test_time_left_follows_the_pace(lines, clock):
    lines.show(step(1))
    clock.now = 2 * LINE_SECONDS
    lines.show(step(6))
    assert lines.written == [
        "step 1/10  loss 1.500  1,234 tokens/s",
        f"step 6/10  loss 1.500  1,234 tokens/s  {duration(2 * LINE_SECONDS / 5 * 4)} left",
    ]


def test_the_last_step_is_always_shown(lines):
    for number in range(1, 11):
        lines.show(step(number))
    assert [line.split()[1] for line in lines.written] == ["1/10", "10/10"]


def test_a_second_stream_of_the_same_kind_starts_a_pace_of_its_own(lines, clock):
    lines.show(step(9))
    clock.now = 100.0
    lines.show(step(1))
    assert "left" not in lines.written[-1]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"event": "start", "rows": 4, "steps": 2}, "training on 4 rows, 2 steps"),
        (
            {"event": "start", "rows": 4, "steps": 2, "trainable": 1000, "parameters": 100000, "share": 0.01,
             "precision": "bf16", "device": "cpu"},
            "training on 4 rows, 2 steps: 1,000 of 100,000 parameters (1.00%), bf16 on cpu",
        ),
        ({"event": "eval", "step": 3, "loss": 0.5}, "step 3  validation loss 0.500"),
        ({"event": "end", "steps": 9, "seconds": 61.0, "stopped": "it rose"}, "trained 9 steps in 1m 01s (it rose)"),
        ({"event": "engine_ready", "engine": "vllm", "seconds": 12.0}, "the vllm engine is ready after 12s"),
        ({**reply(3), "errors": 2}, "3/100 replies  4.0/s  2 failed"),
        ({"event": "generate_end", "total": 5, "errors": 0, "seconds": 3.0}, "5 replies in 3s"),
        ({"event": "warning", "message": "a cache entry was damaged"}, "a cache entry was damaged"),
        ({"event": "save", "step": 1, "path": "x"}, None),
        ({"event": "something new"}, None),
    ],
)  # fmt: skip
def test_events_as_text(event, text):
    assert event_line(event) == text


def test_plain_lines_where_there_is_no_terminal():
    out = io.StringIO()
    with progress_printer(Console(file=out, force_terminal=False)) as show:
        show({"event": "engine_starting", "engine": "vllm"})
        show({"event": "progress", "what": "writing"})
    assert out.getvalue() == "starting the vllm engine\n"


def test_bars_on_a_terminal_leave_only_what_is_finished():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with progress_printer(console) as show:
        assert isinstance(show._display, Bars)
        show({"event": "start", "rows": 4, "steps": 2})
        show(step(1, 2))
        show({"event": "eval", "step": 1, "loss": 0.5})
        show(step(2, 2))
        show({"event": "engine_progress", "engine": "vllm", "stage": "loading", "seconds": 1.0})
        show({"event": "engine_ready", "engine": "vllm", "seconds": 2.0})
        show(reply(100))
    text = out.getvalue()
    assert "training on 4 rows, 2 steps" in text
    assert "validation loss 0.500" in text
    assert "loss 1.500" in text
    assert "the vllm engine is ready after 2s" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h"), "the cursor is shown again"


def test_text_that_looks_like_markup_is_shown_as_it_is():
    out = io.StringIO()
    progress_printer(Console(file=out, force_terminal=True, width=100))({"event": "warning", "message": "[bold]x[/y]"})
    assert "[bold]x[/y]" in out.getvalue()
