"""Commands on configurations: schema, show, init."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click

from capsmed import shipped
from capsmed.cli.options import CONFIG, OUT, SET
from capsmed.errors import ConfigError, did_you_mean


@click.group()
def config() -> None:
    """Look at configurations."""


@config.command()
def schema() -> None:
    """Print the JSON schema, by which editors complete and check the YAML."""
    from capsmed.config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@config.command(name="show")
@CONFIG
@SET
def show_config(source: str | None, overrides: tuple[str, ...]) -> None:
    """Print the whole configuration, defaults included."""
    from capsmed.config import dump, load

    if source is None:
        raise click.UsageError("give --config FILE_OR_NAME")
    click.echo(dump(load(source, overrides).experiment), nl=False)


@click.command()
@click.argument("name")
@OUT
def init(name: str, out: Path | None) -> None:
    """Copy the shipped configuration NAME here, to be changed."""
    source = shipped.find("configs", name)
    if source is None:
        known = shipped.names("configs")
        raise ConfigError(
            f"init: expected one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}"
        )
    target = out or Path(source.name)
    if target.is_dir():
        target = target / source.name
    if target.exists():
        raise ConfigError(f"{target}: expected no such file, got one; choose another with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    click.echo(f"{target}: change it, then run `capsmed train --config {target}`")
