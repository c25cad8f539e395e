"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

CONFIG = click.option(
    "--config",
    "source",
    metavar="FILE_OR_NAME",
    help="A YAML file, or the name of a shipped configuration such as 'lung'.",
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.SUB=VALUE",
    help="Change one value of the configuration; may be given again.",
)
OUT = click.option("--out", type=click.Path(path_type=Path), help="Where to write.")
RUN = click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
DATA_ROOT = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    help="Folder that the table's image paths start from, instead of the table's own.",
)
ALLOW_IMPORT = click.option(
    "--allow-import",
    multiple=True,
    metavar="PACKAGE",
    help="Package that dotted class names may come from; its code will run.",
)
FRAME = click.option(
    "--frame", type=click.Choice(["RAS", "LPS"]), help="Frame of the table's points in mm."
)
FIRST_PIXEL = click.option(
    "--first-pixel",
    type=click.Choice([0, 1]),
    help="Number of the first column and row, where the table gives points in pixels.",
)
ENCODING = click.option("--encoding", help="Text encoding of the table; default UTF-8.")
RESUME = click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with what was interrupted; its own configuration is used.",
)
DEVICE = click.option("--device", help="auto, cpu, cuda, cuda:1, mps.")
