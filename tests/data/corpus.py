"""Damaged and odd inputs, each with the one answer that docs/reference/bad-input.md promises.

Every builder writes into an empty folder and returns what is opened: an image, or a table. All
images are of one scan, so that 'the true volume' can be told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.data.scan_writers import write_dicom

SHAPE = (13, 11, 7)
AFFINE = np.array([[-0.9, 0, 0, 40], [0, -0.7, 0, -12], [0, 0, 2.5, 300], [0, 0, 0, 1.0]])
HU = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 977 - 900).astype(np.int16)
TRUE = "the true volume"
HEAD = "case_id,patient_id,image,label"


@dataclass(frozen=True)
class Entry:
    """One bad input.

    Attributes:
        name: the row of the page.
        build: writes it into an empty folder; gives the path to open.
        answer: ``TRUE``, a check of ``data.checks``, or 'refused'.
        says: what the message, or the finding, must hold (a regular expression).
        affine: where the true volume lies.
        settings: of ``data``, for tables.
    """

    name: str
    build: Callable[[Path], Path]
    answer: str
    says: str
    affine: np.ndarray
    settings: dict[str, object]


CORPUS: dict[str, Entry] = {}


def entry(name: str, answer: str, says: str = "", affine: np.ndarray = AFFINE, **settings: object):
    """Add the decorated builder to the corpus."""

    def add(build: Callable[[Path], Path]) -> Callable[[Path], Path]:
        assert name not in CORPUS
        CORPUS[name] = Entry(name, build, answer, says, affine, settings)
        return build

    return add


def scan(folder: Path, name: str = "scan", **tags: object) -> Path:
    """The scan as a folder of seven slices, 001.dcm the topmost."""
    return write_dicom(folder / name, HU, AFFINE, **tags)


def cohort(folder: Path, columns: str, cells: str, image: str = "scan", second: str = "") -> Path:
    """A table of two patients over one image; both rows have ``cells``."""
    lines = [f"{HEAD}{columns}", f"a,p1,{image},benign{cells}"]
    lines.append(f"b,p2,{image},malignant{second or cells}")
    (folder / "cohort.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "cohort.csv"
