"""Importing the installed plugins; one that cannot be imported is reported and left out."""

from __future__ import annotations

import os
import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from capsmed import third_party

GROUP = "capsmed.plugins"
_LONGEST = 300  # characters of a foreign error that a message repeats

#: What each entry point has registered, also when it was imported by an earlier call.
_registered: dict[tuple[str, str], set[tuple[str, str]]] = {}


@dataclass(frozen=True)
class Plugin:
    """One entry point of an installed package.

    Attributes:
        name: the entry point's.
        package: the distribution that declares it.
        version: of the distribution.
        components: what it has registered, as (kind, name); kinds as in `catalogue.KINDS`.
        failure: why it could not be loaded; '' when it was.
    """

    name: str
    package: str
    version: str
    components: tuple[tuple[str, str], ...] = ()
    failure: str = ""

    def __str__(self) -> str:
        """The name with its package.

        >>> str(Plugin("mine", "third-party", "1.0"))
        'mine (third-party)'
        """
        return f"{self.name} ({self.package})"


def load() -> list[Plugin]:
    """Import every installed plugin, which registers its components.

    An entry point may name a module (importing it registers) or a function without arguments.
    What a plugin that fails has registered is unregistered again.
    Failures are written to stderr, and messages about unknown names repeat them. What a plugin
    prints while it is imported goes to stderr, so that stdout holds results alone.

    Returns:
        The plugins in the order of their names, those that failed among them.
    """
    loaded = [_load(entry) for entry in sorted(entry_points(group=GROUP))]
    failures = [f"the plugin {part} failed to load: {part.failure}" for part in loaded]
    failures = [line for line, part in zip(failures, loaded, strict=True) if part.failure]
    third_party.note_failures(failures)
    if os.environ.get("RANK", "0") == "0":  # under torchrun the first process reports
        for failure in failures:
            print(f"Warning: {failure}; update or uninstall it", file=sys.stderr)
    return loaded


def _load(entry: EntryPoint) -> Plugin:
    from capsmed.plugins.catalogue import forget, restore, snapshot  # heavy; idle without plugins

    package = entry.dist.name if entry.dist is not None else "unknown package"
    version = entry.dist.version if entry.dist is not None else ""
    before, modules = snapshot(), set(sys.modules)
    failure = _import(entry)
    put_back = "; ".join(restore(before))
    failure = failure or put_back
    known = _registered.setdefault((package, entry.name), set())
    known |= snapshot().keys() - before.keys()
    if failure:
        forget(known)
        known.clear()
        _forget_modules(entry, modules)
    return Plugin(entry.name, package, version or "", tuple(sorted(known)), failure)


def _forget_modules(entry: EntryPoint, before: set[str]) -> None:
    """Let the next import run again what has just registered in vain, if the package is shared."""
    top = re.split(r"[.:\s]", entry.value)[0]
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == top:
            del sys.modules[name]


def _import(entry: EntryPoint) -> str:
    """Import what the entry point names, and call it if it is a function; why that failed."""
    try:
        with redirect_stdout(sys.stderr):
            part = entry.load()
            if callable(part):
                part()
    except (Exception, SystemExit) as error:  # whatever a plugin raises, the others go on
        return _in_one_line(error)
    return ""


def _in_one_line(error: BaseException) -> str:
    r"""The kind and the text of a foreign error.

    >>> _in_one_line(ImportError("no module\n  called x"))
    'ImportError: no module called x'
    """
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
