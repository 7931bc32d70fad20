"""What people see of the rows."""

import json
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_folders import model_folder
from rich.console import Console

from harness.config import config_from
from harness.data import Renderer
from harness.data.preprocess import preprocess
from harness.data.view import Figures, TokenView, histogram
from harness.types import Message, Sample

CHAT = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"  # noqa: E501


@pytest.fixture
def renderer(tmp_path):
    return Renderer.from_folder(model_folder(tmp_path / "model", template=CHAT, eos_token="<|im_end|>"))


def _shown(renderable, **options) -> str:
    console = Console(width=100, record=True, file=open("/dev/null", "w"), **options)  # noqa: SIM115
    console.print(renderable)
    console.file.close()
    return console.export_text(styles=bool(options))


def test_tokens_ids_and_mask_without_colour(renderer):
    row = renderer.encode(Sample("a", (Message("user", "Be good"), Message("assistant", "\nok"))))
    text = TokenView(row, renderer).plain()
    assert text.replace("\n", "").endswith(f"»⏎⟨{row.input_ids[-1]}⟩")
    inside = text[text.index("«") + 1 : text.index("»")]
    assert [int(part.split("⟩")[0]) for part in inside.split("⟨")[1:]] == [
        label for label in row.labels if label != -100
    ]
    assert text.count("⟨") == len(row.input_ids)
    assert TokenView(row, renderer, with_ids=False).plain().count("⟨") == 0


def test_colour_says_what_brackets_say_without(renderer):
    row = renderer.encode(Sample("a", (Message("user", "q"), Message("assistant", "ok"))))
    coloured = _shown(TokenView(row, renderer), force_terminal=True, color_system="standard")
    assert "«" not in coloured
    assert "\x1b[" in coloured
    assert "green: trained" in coloured
    plain = _shown(TokenView(row, renderer))
    assert "«" in plain
    assert f"row a: {len(row.input_ids)} tokens" in plain


def test_control_characters_do_not_reach_the_terminal(renderer):
    row = renderer.encode(Sample("a", (Message("user", "\x1b[31m\x07"), Message("assistant", "ok"))))
    assert "\x1b" not in TokenView(row, renderer).plain()
    assert "\\x1b" in TokenView(row, renderer).plain()


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60))
def test_figures_and_histogram(lengths):
    figures = Figures(tuple(sorted(lengths)), {"tokens": 10, "trained_tokens": 4})
    ordered = sorted(lengths)
    assert figures.quantile(1.0) == ordered[-1]
    assert sum(length <= figures.quantile(0.95) for length in lengths) >= 0.95 * len(lengths)
    assert figures.quantile(0.5) <= median(lengths) <= ordered[len(ordered) // 2]
    assert figures.trained_share == 0.4
    bins = histogram(lengths, 10)
    assert len(bins) <= 10
    assert sum(count for _, _, count in bins) == len(lengths)
    assert all(count == sum(low <= length <= high for length in lengths) for low, high, count in bins)


def test_preprocess_writes_the_rows_and_reports_on_them(renderer, tmp_path):
    rows = [
        {
            "messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "r" * (n % 7 + 1)}],
            "id": n,
        }
        for n in range(20)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = config_from(
        {
            "base_model": str(tmp_path / "model"),
            "output_dir": str(tmp_path / "out"),
            "adapter": "lora",
            "datasets": [{"path": str(tmp_path / "rows.jsonl"), "type": "chat_template"}],
            "dataset_prepared_path": str(tmp_path / "prepared"),
        },
        tmp_path,
    )
    done = preprocess(config, tmp_path / "model")
    assert done.file.is_file()
    shown = _shown(done.report(["3", "id-that-is-not-there"]))
    assert "row 3: " in shown
    assert "row id-that-is-not-there: not there (1 to 20, or an id)" in shown
    assert "Tokens per row" in shown
    assert f"{done.encoded.counts['tokens']:,}" in shown
    assert f"({done.figures.trained_share:.1%})" in shown
    assert "reused" in preprocess(config, tmp_path / "model").encoded.notes[0]
