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
