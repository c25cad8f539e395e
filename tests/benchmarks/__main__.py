"""Run the benchmarks: ``python -m tests.benchmarks [NAME ...] [--rounds N] [--fast]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from capsmed import atomic
from capsmed.errors import CapsmedError
from tests.benchmarks import chart, docs, suite, table
from tests.benchmarks.contest import listener

OUT = Path("runs/benchmarks")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1)
@click.option(
    "--rounds", type=click.IntRange(1), help=f"[{suite.ROUNDS}; other for long and short ones]"
)
@click.option("--fast", is_flag=True, help="Tiny sizes: whether all runs, not how fast.")
@click.option("--out", type=click.Path(path_type=Path), help=f"Folder of the results [{OUT}].")
@click.option("--docs", "page", is_flag=True, help="Write the tables of docs/explanation/speed.md.")
@click.option("--only-docs", is_flag=True, help="Measure nothing; write them from the folder.")
def main(
    names: tuple[str, ...],
    rounds: int | None,
    fast: bool,
    out: Path | None,
    page: bool,
    only_docs: bool,
) -> None:
    """Measure capsmed beside other implementations: all benchmarks, or those that are named."""
    folder = out or OUT.with_name(f"{OUT.name}-fast" if fast else OUT.name)
    console = Console()
    try:
        if fast and (page or only_docs):
            raise click.UsageError("--fast: expected without --docs; its figures mean nothing")
        if not only_docs:
            run(suite.chosen(names), rounds, fast, folder, console)
        results = suite.kept(folder)
        if page or only_docs:
            docs.write(results)
            console.print(f"tables of {docs.PAGE.relative_to(docs.ROOT)} written")
    except CapsmedError as error:
        raise click.ClickException(str(error)) from error
    report(results, folder, console)


def run(
    names: tuple[str, ...], rounds: int | None, fast: bool, folder: Path, console: Console
) -> None:
    """Measure the benchmarks one after the other, each in its own process, keeping each at once."""
    suite.start(folder)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for number, name in enumerate(names, 1):
            task = progress.add_task(name)
            before = f"{number}/{len(names)} {name}"
            token = listener.set(
                lambda text, task=task, before=before: progress.update(
                    task, description=f"{before}: {text}"
                )
            )
            if not console.is_terminal:
                console.print(f"{before}: {suite.title(name)}", highlight=False, soft_wrap=True)
            try:
                results = suite.keep(folder, name, suite.measured(name, rounds, fast))
            finally:
                listener.reset(token)
            progress.update(task, description=f"{before}: done", total=1, completed=1)
            atomic.write_text(folder / "table.md", table.page(results))
            atomic.write_text(folder / "ratios.svg", chart.ratios(results))


def report(results: dict[str, Any], folder: Path, console: Console) -> None:
    """The tables, where the files are, and what next."""
    text = table.page(results)
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        print(text)
    for name, result in results.items():
        missed = [bar.what for bar in suite.bars(name, result) if not bar.met]
        if missed and not result["fast"]:
            print(f"{name} missed: {'; '.join(missed)}")
    print(f"{folder} holds results.json (every single time), table.md and ratios.svg")
    print(
        f"next: look at {folder / 'ratios.svg'}; --only-docs writes the tables of the docs from it"
    )


if __name__ == "__main__":
    main()
