"""The command that looks inside a run's networks."""

from __future__ import annotations

from pathlib import Path

import click

from capsmed.cli.options import ALLOW_IMPORT, DATA_ROOT, RUN


@click.command()
@RUN
@click.option(
    "--cases",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Cases to draw at most.",
)
@click.option(
    "--measured",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="Test cases to measure on, of all folds together.",
)
@click.option(
    "--fold",
    type=int,
    help="Fold whose cases are drawn; default: the first. Where a search chose networks that "
    "differ, it alone is measured.",
)
@click.option("--seed", type=int, help="Seed whose networks are measured; default: the first.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, mps.")
@DATA_ROOT
@ALLOW_IMPORT
def inspect(
    folder: Path,
    cases: int,
    measured: int,
    fold: int | None,
    seed: int | None,
    device: str,
    data_root: Path | None,
    allow_import: tuple[str, ...],
) -> None:
    """Look inside the capsules of a finished run: couplings, health, reconstructions."""
    from capsmed import plugins
    from capsmed.engines.inside.look import inspect_run
    from capsmed.report import write_report
    from capsmed.report.inside_words import findings

    plugins.load()
    health = inspect_run(
        folder,
        cases=cases,
        measured=measured,
        fold=fold,
        seed=seed,
        data_root=data_root,
        device=device,
        allow_import=allow_import,
    )
    page = write_report(folder)
    for text in findings(health):
        click.echo(text)
    click.echo(f"numbers and arrays: {folder / 'inspect'}\nreport: {page}")
