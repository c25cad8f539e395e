"""Commands that show results: of one run, or of several beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import click

from capsmed.cli.options import OUT

_RUNS = click.argument(
    "folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path)
)


@click.command()
@_RUNS
@OUT
@click.option("--baselines", is_flag=True, help="Compare with the runs' baselines, too.")
@click.option("--all-pairs", is_flag=True, help="Compare each with each, not the first with each.")
@click.option("--shared", is_flag=True, help="Compare on the cases that all have predicted.")
@click.option(
    "--bootstrap",
    type=click.IntRange(min=100),
    default=2000,
    show_default=True,
    help="Number of resamples.",
)
def compare(
    folders: tuple[Path, ...],
    out: Path | None,
    baselines: bool,
    all_pairs: bool,
    shared: bool,
    bootstrap: int,
) -> None:
    """Compare runs on the same cases: the first with each other one.

    A RUN is a run folder or one of its evaluations. Of a single one the network is compared with
    its baselines. Writes comparison.json and comparison.html.
    """
    from rich.console import Console

    from capsmed.report import comparison_table, write_comparison

    folder = write_comparison(
        folders, out, baselines=baselines, all_pairs=all_pairs, shared=shared, bootstrap=bootstrap
    )
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    found = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    console.print(comparison_table(found))
    console.print(f"page: {folder / 'comparison.html'}", highlight=False, soft_wrap=True)


@click.command()
@_RUNS
@click.option(
    "--paper",
    is_flag=True,
    help="Write figures for print, tables as .xlsx and a methods paragraph, too.",
)
def report(folders: tuple[Path, ...], paper: bool) -> None:
    """Write plots and report.html of a run again; images are not needed.

    Of several runs: the page of their comparison, see `capsmed compare`.
    """
    from capsmed.report import write_comparison, write_paper, write_report

    if paper and len(folders) > 1:
        raise click.UsageError("--paper is of one run; give it alone")
    if len(folders) > 1:
        click.echo(write_comparison(folders) / "comparison.html")
        return
    click.echo(write_report(folders[0]))
    if paper:
        click.echo(write_paper(folders[0]))
