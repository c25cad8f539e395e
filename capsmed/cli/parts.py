"""Commands on public data sets and pipelines."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import click

from capsmed import shipped
from capsmed.cli.options import OUT
from capsmed.errors import ConfigError, did_you_mean


@click.group()
def data() -> None:
    """Download public data sets."""


@data.command()
@click.argument("name")
@OUT
@click.option(
    "--file",
    "by_hand",
    type=click.Path(path_type=Path, exists=True),
    help="A file, or a folder of files, that was fetched by hand.",
)
def get(name: str, out: Path | None, by_hand: Path | None) -> None:
    """Download the public data set NAME; its size, licence and checksum are shown.

    It goes to --out, by default the folder NAME in CAPSMED_DATA, or in ./data if that is not set.
    """
    from capsmed.data.fetch import get as fetch
    from capsmed.data.progress import shown

    home = os.environ.get("CAPSMED_DATA")
    with shown(True, name) as progress:
        target = fetch(
            name,
            out or Path(home or "data") / name,
            by_hand=by_hand,
            say=click.echo,
            progress=progress,
        )
    click.echo(f"use it with --set data.cohort={target}")
    if out is None and not home:
        click.echo("or set CAPSMED_DATA=data, which the shipped configurations start from")


@click.command()
@click.argument("pipeline")
@click.option("--fast", is_flag=True, help="A small version, to see that it works.")
@OUT
def run(pipeline: str, fast: bool, out: Path | None) -> None:
    """Run the shipped PIPELINE, or a Python file that defines main(out, fast)."""
    path = Path(pipeline) if pipeline.endswith(".py") else shipped.find("pipelines", pipeline)
    if path is None or not path.is_file():
        known = shipped.names("pipelines")
        raise ConfigError(
            f"run: expected a pipeline ({', '.join(known) or 'none is shipped'}) or a Python file, "
            f"got {pipeline!r}{did_you_mean(pipeline, known)}"
        )
    name = f"{path.stem}-fast" if fast else path.stem
    _module(path).main(out or Path("runs") / name, fast=fast)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"capsmed_pipeline_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: expected a Python file, got something else")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "main"):
        raise ConfigError(f"{path}: expected a function main(out, fast), got none")
    return module
