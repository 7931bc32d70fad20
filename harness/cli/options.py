"""Arguments and options that several commands share, with one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer


def known_engine(name: str) -> str:
    """Return ``name`` if there is such an engine.

    Raises:
        typer.BadParameter: there is none.
    """
    from harness.config import ServeConfig

    engines = get_args(ServeConfig.model_fields["engine"].annotation)
    if name not in engines:
        raise typer.BadParameter(f"{name!r} is not an engine: they are {', '.join(engines)}")
    return name


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The YAML file, axolotl's names.")]
TargetName = Annotated[
    str,
    typer.Argument(metavar="ADAPTER|RUN", help="An adapter's folder, or a run's id or how it begins (`harness runs`)."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the config, as in `lora_r=8`. Repeatable."),
]
DataPath = Annotated[Path | None, typer.Option("--data", help="Train on this file instead of the config's data set.")]
HomePath = Annotated[
    Path | None,
    typer.Option("--home", help="Where caches and the run store lie. Default: $HARNESS_HOME, else .harness here."),
]
BaseModel = Annotated[
    str | None,
    typer.Option("--base-model", help="The base, where the adapter does not name one that is here."),
]
EngineName = Annotated[str, typer.Option("--engine", help="auto, vllm or transformers.", callback=known_engine)]
