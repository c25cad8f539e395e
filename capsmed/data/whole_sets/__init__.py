"""Whole sets: each module turns one layout, or one named source, into arrays of a Cohort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capsmed.data.whole_sets import digits, idx, medmnist
from capsmed.data.whole_sets.whole_set import WholeSet, check
from capsmed.errors import CapsmedError, DataError

__all__ = [
    "DATA_SOURCES",
    "WHOLE_SETS",
    "WholeSet",
    "kind",
    "read",
    "read_source",
    "register_data_source",
]

#: Layouts of files: each reads the file or folder that ``data.cohort`` names.
WHOLE_SETS: dict[str, Callable[[Path], WholeSet]] = {
    "idx": idx.read,
    "npz": medmnist.read,
}
#: Sets that ``data.cohort`` names by a word of their own.
DATA_SOURCES: dict[str, Callable[[], WholeSet]] = {}
_TAKEN = ("demo", *WHOLE_SETS)


def register_data_source(name: str, reader: Callable[[], WholeSet]) -> None:
    """Make ``data: {cohort: name}`` mean what ``reader`` gives.

    Args:
        name: an identifier, so that it never looks like a path.
        reader: called without arguments, once each time that a cohort is read; it must give the
            same cases in the same order every time.

    Raises:
        ValueError: the name is no identifier, or belongs to another source.
    """
    if not name.isidentifier():
        raise ValueError(f"data sources: expected an identifier, got {name!r}; rename the source")
    taken = DATA_SOURCES.get(name)
    same = taken is not None and _place(taken) == _place(reader)
    if name in _TAKEN or (taken is not None and not same):
        where = f", which is {_place(taken)}" if taken else ", which capsmed uses itself"
        raise ValueError(
            f"data sources: expected a free name, got {name!r}{where}; "
            f"register {_place(reader)} under another name"
        )
    DATA_SOURCES[name] = reader


def kind(source: Path) -> str | None:
    """The layout of ``source``; None when it is a table or nothing known."""
    if source.suffix.lower() == ".npz":
        return "npz"
    return "idx" if source.is_dir() else None


def read(name: str, source: Path) -> WholeSet:
    """Read ``source``, whose layout is called ``name``.

    Raises:
        DataError: no such layout, or the files are not what it expects.
    """
    if name not in WHOLE_SETS:
        raise DataError(f"whole set: expected one of {', '.join(WHOLE_SETS)}, got {name!r}")
    return WHOLE_SETS[name](source)


def read_source(name: str) -> WholeSet:
    """Read the data source ``name``.

    Raises:
        DataError: it fails, or what it gives is no whole set; the source is named.
    """
    try:
        found = DATA_SOURCES[name]()
    except CapsmedError:
        raise
    except Exception as error:  # a plugin may raise anything; say which source it was
        raise DataError(
            f"data source {name}: expected cases, got {type(error).__name__}: {error}; "
            "ask the author of the plugin"
        ) from error
    check(found, f"data source {name}")
    return found


def _place(reader: Callable[[], WholeSet]) -> str:
    return f"{reader.__module__}.{getattr(reader, '__qualname__', type(reader).__qualname__)}"


register_data_source("digits", digits.read)
