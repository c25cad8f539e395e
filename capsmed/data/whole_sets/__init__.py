"""Whole-set files: each module turns one layout into arrays that a Cohort can hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from capsmed.data.whole_sets import digits, idx, medmnist
from capsmed.data.whole_sets.whole_set import WholeSet
from capsmed.errors import DataError

WHOLE_SETS: dict[str, Callable[[Path], WholeSet]] = {
    "digits": digits.read,
    "idx": idx.read,
    "npz": medmnist.read,
}


def kind(source: Path) -> str | None:
    """The reader for ``source``; None when it is a table or nothing known."""
    if str(source) in WHOLE_SETS and not source.exists():
        return str(source)
    if source.suffix.lower() == ".npz":
        return "npz"
    return "idx" if source.is_dir() else None


def read(name: str, source: Path) -> WholeSet:
    """Read ``source`` with the reader ``name``.

    Raises:
        DataError: no such reader, or the files are not what it expects.
    """
    if name not in WHOLE_SETS:
        raise DataError(f"whole set: expected one of {', '.join(WHOLE_SETS)}, got {name!r}")
    return WHOLE_SETS[name](source)
