"""`capsmed list`: every component with its arguments, defaults and reference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from capsmed.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from capsmed.plugins import Plugin
    from capsmed.plugins.catalogue import Kind
    from capsmed.plugins.description import Description

_WIDTH = 100  # of what goes to a file or a pipe
_PLUGINS = "plugins"


@click.command(name="list")
@click.argument("name", required=False)
def list_parts(name: str | None) -> None:
    """List what there is: all components, those of one kind, or one with everything about it.

    NAME is a kind such as routings, or a component such as dynamic.
    """
    from capsmed import plugins
    from capsmed.plugins.catalogue import KINDS, kind_called

    loaded = plugins.load()
    console = _console()
    if name is None:
        for kind in KINDS:
            _overview(console, kind, loaded)
        _plugins(console, loaded)
        console.print("More: capsmed list KIND, capsmed list NAME", style="dim")
    elif name.lower() in (_PLUGINS, "plugin"):
        _plugins(console, loaded)
    elif (called := kind_called(name)) is not None:
        _options(console, called, loaded)
    else:
        _everything(console, name, loaded)


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=_WIDTH, highlight=False)


def _overview(console: Console, kind: Kind, loaded: Iterable[Plugin]) -> None:
    """One line a component: name, what it is, reference."""
    from capsmed.plugins.description import describe

    table = _table(console, kind.name, kind.where)
    table.add_column(no_wrap=True)
    table.add_column(ratio=3, overflow="fold")
    rows = [describe(kind, name, loaded) for name in sorted(kind.components())]
    if any(map(_source, rows)):
        table.add_column(ratio=2, style="dim")
    for found in rows:
        table.add_row(
            *map(_plain, (found.name, found.summary, _source(found))[: len(table.columns)])
        )
    _show(console, table)


def _options(console: Console, kind: Kind, loaded: Iterable[Plugin]) -> None:
    """The components of one kind, each with its options and their defaults."""
    from capsmed.plugins.description import describe

    table = _table(console, kind.name, kind.where)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is, options and defaults", ratio=3, overflow="fold")
    table.add_column("reference", ratio=2, style="dim")
    for name in sorted(kind.components()):
        found = describe(kind, name, loaded)
        lines = [found.summary]
        lines += [f"  {a.name}{f' = {a.default}' if a.default else ''}" for a in found.arguments]
        table.add_row(*map(_plain, (name, "\n".join(lines), _source(found))))
    table.show_header = True
    _show(console, table)
    console.print(f"More: capsmed list NAME, such as {sorted(kind.components())[0]}", style="dim")


def _everything(console: Console, name: str, loaded: Iterable[Plugin]) -> None:
    """All that is known of each component called ``name``, whatever its kind.

    Raises:
        ConfigError: nothing has that name.
    """
    from capsmed import third_party
    from capsmed.plugins.catalogue import KINDS
    from capsmed.plugins.description import describe

    of = {kind: [own for own in kind.components() if own.lower() == name.lower()] for kind in KINDS}
    if not any(of.values()):
        kinds = [*(kind.name for kind in KINDS), _PLUGINS]
        known = kinds + [own for kind in KINDS for own in kind.components()]
        raise ConfigError(
            f"list: expected a kind ({', '.join(kinds)}) or the name of a "
            f"component, got {name!r}{did_you_mean(name, known)}{third_party.failed()}"
        )
    for kind, names in of.items():
        for own in names:
            _one(console, kind, describe(kind, own, loaded))


def _one(console: Console, kind: Kind, found: Description) -> None:
    from capsmed.plugins.catalogue import singular

    table = _table(console, f"{found.name}, {singular(kind.name)}", kind.where)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    rows = {"what": found.summary, "reference": found.reference, "from": _from(found)}
    for title, text in rows.items():
        if text:
            table.add_row(title, _plain(text))
    _show(console, table)
    if found.about:
        console.print(_indented(found.about))
    if found.arguments:
        _show(console, _arguments(console, found))


def _arguments(console: Console, found: Description) -> Table:
    table = _table(console, "options", "")
    table.add_column("option", no_wrap=True)
    table.add_column("default", overflow="fold", max_width=18)
    table.add_column("type", overflow="fold", max_width=24, style="dim")
    table.add_column("meaning", ratio=1)
    table.show_header = any(argument.meaning for argument in found.arguments)
    for argument in found.arguments:
        default = argument.default or ("" if argument.name.startswith("--") else "required")
        cells = (argument.name, default, argument.type, argument.meaning)
        table.add_row(*map(_plain, cells))
    return table


def _plugins(console: Console, loaded: Iterable[Plugin]) -> None:
    table = _table(console, _PLUGINS, "packages that add components")
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for plugin in loaded:
        names = ", ".join(name for _, name in plugin.components) or "registers nothing"
        text = f"failed to load: {plugin.failure}" if plugin.failure else names
        table.add_row(*map(_plain, (str(plugin), text)))
    if not table.rows:
        table.add_row("-", "none is installed")
    _show(console, table)


def _source(found: Description) -> str:
    """Reference, and the package where it is not capsmed."""
    from capsmed.plugins.description import OWN

    package = "" if found.origin == OWN else f"plugin {found.origin}"
    return "\n".join(text for text in (found.reference, package) if text)


def _from(found: Description) -> str:
    return f"{found.origin}: {found.place}" if found.place else found.origin


def _table(console: Console, title: str, where: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    heading = Text(title, style="bold")
    if where:
        heading.append(f"  ({where})", style="dim not bold")
    return Table(
        title=heading,
        title_justify="left",
        title_style="",
        box=None,
        show_header=False,
        width=min(console.width, 120),
        padding=(0, 2, 0, 0),
    )


def _plain(text: str) -> RenderableType:
    """Text in which square brackets are brackets."""
    from rich.text import Text

    return Text(text)


def _indented(text: str) -> RenderableType:
    from rich.padding import Padding

    return Padding(_plain(text), (0, 0, 1, 2))


def _show(console: Console, table: Table) -> None:
    console.print(table)
    console.print()
