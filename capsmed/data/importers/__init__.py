"""Whole-set files: each module turns one layout into arrays that a Cohort can hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capsmed.data.importers import digits, idx, medmnist
from capsmed.data.importers.whole_set import WholeSet
from capsmed.errors import DataError

IMPORTERS: dict[str, Callable[[Path], WholeSet]] = {
    "digits": digits.read,
    "idx": idx.read,
    "npz": medmnist.read,
}


def kind(source: Path) -> str | None:
    """The importer for ``source``; None when it is a table or nothing known."""
    if str(source) in IMPORTERS and not source.exists():
        return str(source)
    if source.suffix.lower() == ".npz":
        return "npz"
    return "idx" if source.is_dir() else None


def read(name: str, source: Path) -> WholeSet:
    """Read ``source`` with the importer ``name``.

    Raises:
        DataError: no such importer, or the files are not what it expects.
    """
    if name not in IMPORTERS:
        raise DataError(f"importer: expected one of {', '.join(IMPORTERS)}, got {name!r}")
    return IMPORTERS[name](source)
