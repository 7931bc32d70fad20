"""All commands in one place."""

from __future__ import annotations

import typer

from harness.cli import cache, chat, init, merge, preprocess, runs, serve, train

app = typer.Typer(
    name="harness",
    help=(
        "Eval-driven fine-tuning: train an adapter, serve it, hold it against a pytest suite.\n\n"
        "The main job is a pytest command: `pytest suites/ --train-config configs/qlora.yml`. "
        "The commands here do its steps by hand. Start with `harness init`."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("init")(init.init)
app.command("preprocess")(preprocess.preprocess)
app.command("train")(train.train)
app.command("serve")(serve.serve)
app.command("chat")(chat.chat)
app.command("merge")(merge.merge)
app.add_typer(cache.app, name="cache")
app.add_typer(runs.app, name="runs")
