"""What every reader of image files keeps, whatever its format: a file that is none is refused."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from capsmed.data.readers import READERS
from capsmed.errors import DataError


@dataclass(frozen=True)
class Case:
    """The registered reader of one suffix, and what a damaged file of it holds."""

    name: str
    kind: str
    content: bytes


def cases(name: str) -> list[Case]:
    """An empty file and one of other bytes."""
    return [Case(name, "an empty file", b""), Case(name, "other bytes", b"no image\0" * 700)]


def has_a_suffix_for_its_name(case: Case) -> None:
    """It is registered for a suffix with a dot, in lower case."""
    proper = case.name.startswith(".") and case.name == case.name.lower()
    assert proper, f"expected a suffix such as '.mine', got {case.name!r}"


def refuses_a_file_that_is_none(case: Case) -> None:
    """A file that is no image is refused by a DataError that names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan{case.name}"
        path.write_bytes(case.content)
        try:
            READERS[case.name](path).read(None)
        except DataError as error:
            assert path.name in str(error), f"the message does not name the file: {error}"
        else:
            raise AssertionError("it was read as if it were an image")


CHECKS: Sequence[Callable[[Case], None]] = (
    has_a_suffix_for_its_name,
    refuses_a_file_that_is_none,
)
