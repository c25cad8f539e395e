"""What every data source keeps: a whole set that ``data.cohort`` names by a word."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.whole_sets import DATA_SOURCES, WholeSet, read_source


@dataclass(frozen=True)
class Case:
    """A registered data source, as it was read once."""

    name: str
    found: WholeSet


def cases(name: str) -> list[Case]:
    """The source, read once."""
    return [Case(name, DATA_SOURCES[name]())]


def agrees_with_itself(case: Case) -> None:
    """It gives a WholeSet with one label, one name and no or one part for each image."""
    read_source(case.name)


def is_the_same_each_time(case: Case) -> None:
    """It gives the same cases in the same order each time."""
    again = DATA_SOURCES[case.name]()
    for what in ("labels", "parts", "case_ids", "value_range"):
        same = list(getattr(again, what)) == list(getattr(case.found, what))
        assert same, f"{what} differ from one time to the next"
    assert np.array_equal(again.images, case.found.images), "the images differ between two times"


def has_several_classes_written_as_text(case: Case) -> None:
    """It has at least two classes, written as text."""
    foreign = {type(label).__name__ for label in case.found.labels} - {"str"}
    assert not foreign, f"labels: expected str, got {', '.join(sorted(foreign))}"
    classes = sorted(set(case.found.labels))
    assert len(classes) >= 2, f"expected two classes or more, got {classes}"


def has_each_class_in_each_part(case: Case) -> None:
    """Each of its parts has all classes."""
    classes = set(case.found.labels)
    for part in sorted(set(case.found.parts)):
        pairs = zip(case.found.labels, case.found.parts, strict=True)
        missing = classes - {label for label, own in pairs if own == part}
        assert not missing, f"part {part} has no case of {', '.join(sorted(missing))}"


def has_finite_images_that_differ(case: Case) -> None:
    """Its images are finite numbers and not all alike."""
    images = case.found.images
    assert images.dtype.kind in "uif", f"expected numbers, got {images.dtype}"
    assert np.isfinite(images).all(), "expected finite numbers, got NaN or infinite values"
    assert images.min() < images.max(), "every pixel has the same value"


def spans_its_value_range(case: Case) -> None:
    """Its value_range rises and holds the images' values."""
    low, high = case.found.value_range
    assert low < high, f"expected a range that rises, got {low} to {high}"
    found = (case.found.images.min(), case.found.images.max())
    inside = low <= found[0] and found[1] <= high
    assert inside, f"value_range is {low} to {high}, the images have {found[0]} to {found[1]}"


def is_read_as_a_cohort(case: Case) -> None:
    """``data: {cohort: NAME}`` reads it, and each case opens as an image."""
    with tempfile.TemporaryDirectory() as folder:  # where no file has the source's name
        cohort = Cohort.read(config.Data(cohort=case.name), Path(folder))
    assert len(cohort.included) >= 2, "expected cases that take part, got none"
    for position in (0, len(cohort.table) - 1):
        volume = cohort.volume(cohort.table.iloc[position])
        assert np.isfinite(volume.read(None)).all(), "an image cannot be read"


CHECKS: Sequence[Callable[[Case], None]] = (
    agrees_with_itself,
    is_the_same_each_time,
    has_several_classes_written_as_text,
    has_each_class_in_each_part,
    has_finite_images_that_differ,
    spans_its_value_range,
    is_read_as_a_cohort,
)
