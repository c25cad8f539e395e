"""Commands on cohorts."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from capsmed.cli.cohort_check import check
from capsmed.cli.cohort_import import import_cohort


@click.group()
def cohort() -> None:
    """Work with cohorts."""


cohort.add_command(check)
cohort.add_command(import_cohort)


@cohort.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--cases", type=click.IntRange(min=1), help="Only this many; default: all.")
def demo(out: Path, cases: int | None) -> None:
    """Render the embedded cohort into the folder OUT: real outlines, synthetic pixels."""
    from capsmed.data.demo import write
    from capsmed.data.progress import shown

    with shown(True, "rendering") as progress:
        table = write(out, cases=cases, progress=progress)
    where = shlex.quote(f"data.cohort={table.resolve()}")
    click.echo(f"train on it: capsmed train --config lung --set {where} --set data.frame=RAS")
