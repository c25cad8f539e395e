"""`capsmed plugin check`: the contract tests of a package's components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from capsmed.errors import CapsmedError, did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

    from capsmed.plugins import Plugin
    from capsmed.plugins.contracts.running import Result


@click.group()
def plugin() -> None:
    """Work on packages that add components."""


@plugin.command()
@click.argument("package")
def check(package: str) -> None:
    """Test everything that the installed PACKAGE registers against the contract of its kind.

    PACKAGE is the name of a distribution, or of one of its entry points. The exit code is 1 when
    a check fails.
    """
    from capsmed import plugins
    from capsmed.data.progress import shown
    from capsmed.plugins.contracts import running

    chosen = _chosen(package, plugins.load())
    components = [part for plugin in chosen for part in plugin.components]
    results: list[Result] = []
    with shown(True, "checking") as progress:
        for number, (kind, name) in enumerate(components, 1):
            results += running.check(kind, name)
            if progress is not None:
                progress(number, len(components))
    _show(results)
    failed = [result for result in results if result.reason]
    click.echo(f"{len(components)} components, {len(results)} checks, {len(failed)} failed")
    if failed:
        raise click.exceptions.Exit(1)


def _chosen(package: str, loaded: Sequence[Plugin]) -> list[Plugin]:
    """The plugins of one package.

    Raises:
        CapsmedError: none is called so, one of them cannot be loaded, or they register nothing.
    """
    chosen = [
        part for part in loaded if _folded(package) in map(_folded, (part.package, part.name))
    ]
    if not chosen:
        known = sorted({name for part in loaded for name in (part.package, part.name)})
        raise CapsmedError(
            f"plugin check: expected an installed plugin ({', '.join(known) or 'there is none'}), "
            f"got {package!r}{did_you_mean(package, known)}; a package declares an entry point in "
            "the group capsmed.plugins"
        )
    for part in chosen:
        if part.failure:
            raise CapsmedError(f"plugin check: the plugin {part} failed to load: {part.failure}")
    if not any(part.components for part in chosen):
        raise CapsmedError(
            f"plugin check: expected {', '.join(map(str, chosen))} to register components, got "
            "none; call a function such as capsmed.networks.register when it is imported"
        )
    return chosen


def _folded(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _show(results: Sequence[Result]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=100, highlight=False)
    table = _table(min(console.width, 120))
    last = ("", "")
    for result in results:
        place = (result.name, result.kind)
        shown = ("", "") if place == last else place
        verdict = Text("pass", style="green")
        if result.reason:
            verdict = Text("FAIL", style="bold red")
        what = Text(result.sentence)
        if result.reason:
            what.append(f"\n{result.reason}", style="red")
        table.add_row(*map(Text, shown), what, verdict)
        last = place
    console.print(table)


def _table(width: int) -> Table:
    from rich.table import Table

    table = Table(box=None, width=width, padding=(0, 2, 0, 0))
    table.add_column("component", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("check", ratio=1)
    table.add_column("", no_wrap=True)
    return table
