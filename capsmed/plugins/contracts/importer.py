"""What every importer keeps, whatever it imports."""

from __future__ import annotations

import dataclasses
import inspect
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from capsmed.data import importers
from capsmed.data.importers import IMPORTERS, Importer, Options
from capsmed.errors import DataError


@dataclass(frozen=True)
class Case:
    """A registered importer."""

    name: str
    kind: str = ""

    @property
    def importer(self) -> Importer:
        """The importer itself."""
        return IMPORTERS[self.name]


def cases(name: str) -> list[Case]:
    """The importer."""
    return [Case(name)]


def is_an_importer_of_four_arguments(case: Case) -> None:
    """It is an Importer whose read takes source, out, options and progress."""
    assert isinstance(case.importer, Importer), f"got {type(case.importer).__name__}"
    try:
        inspect.signature(case.importer.read).bind(Path(), Path(), Options(), None)
    except TypeError as error:
        raise AssertionError(f"read: {error}") from error


def tells_in_one_line_what_it_reads(case: Case) -> None:
    """Its summary is one line."""
    summary = case.importer.summary
    assert summary and "\n" not in summary, f"expected one line, got {summary!r}"


def obeys_options_that_there_are(case: Case) -> None:
    """The options that it obeys exist."""
    foreign = set(case.importer.uses) - {entry.name for entry in dataclasses.fields(Options)}
    assert not foreign, f"uses: expected names of Options, got {', '.join(sorted(foreign))}"


def refuses_an_empty_folder(case: Case) -> None:
    """An empty folder is refused by a DataError, and no table is left behind."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "source", Path(folder) / "out"
        source.mkdir()
        try:
            importers.read(case.name, source, out)
        except DataError:
            assert not (out / "cohort.csv").exists(), "a table was written all the same"
        else:
            raise AssertionError("it was imported as if it held cases")


CHECKS: Sequence[Callable[[Case], None]] = (
    is_an_importer_of_four_arguments,
    tells_in_one_line_what_it_reads,
    obeys_options_that_there_are,
    refuses_an_empty_folder,
)
