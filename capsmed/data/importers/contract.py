"""What an importer takes and gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """Everything an importer can be told; None is 'not given', and each importer's own default.

    Attributes:
        annotations: file or folder of annotations that the source itself does not hold.
        patients: text file of the patient ids to take, one a line.
        patient_pattern: regular expression, searched in a file's path below its class; its first
            group is the patient.
        points: table of points.
        frame: frame of its points in mm.
        first_pixel: number of the first column and row of its points in pixels.
        min_readers: how many readers must have outlined a nodule.
        min_diameter: smallest nodule in mm.
        negatives_per_scan: how many non-nodules a scan gives at most.
        nodules_only: take the list of nodules instead of that of candidates.
        seed: of everything that is drawn.
        encoding: text encoding of the tables read.
    """

    annotations: Path | None = None
    patients: Path | None = None
    patient_pattern: str | None = None
    points: Path | None = None
    frame: Literal["RAS", "LPS"] | None = None
    first_pixel: Literal[0, 1] | None = None
    min_readers: int | None = None
    min_diameter: float | None = None
    negatives_per_scan: int | None = None
    nodules_only: bool | None = None
    seed: int | None = None
    encoding: str | None = None

    def given(self) -> tuple[str, ...]:
        """The names of the options that are not None."""
        names = (entry.name for entry in dataclasses.fields(self))
        return tuple(name for name in names if getattr(self, name) is not None)


@dataclass(frozen=True)
class Imported:
    """What was made of a source.

    Attributes:
        table: the cohort.csv that was written.
        rows: how many cases it has.
        left_out: how many of the source's items are not in it, by reason; names no patient.
        notes: what the user must know of the table before trusting a result.
        settings: what ``--set`` is to say beside ``data.cohort``, such as {"data.frame": "LPS"}.
        config: the shipped configuration to begin with.
    """

    table: Path
    rows: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    config: str = "lung"


Read = Callable[[Path, Path, Options, "Progress | None"], Imported]


@dataclass(frozen=True)
class Importer:
    """A way from one kind of source to a cohort table.

    Attributes:
        read: ``read(source, out, options, progress)`` writes the new folder ``out``; ``progress``
            is called with (done, all).
        summary: one line for the list of importers.
        uses: the options it obeys; any other one is refused.
        named: whether ``source`` may be a name instead of a path.
    """

    read: Read
    summary: str
    uses: tuple[str, ...] = ()
    named: bool = False
