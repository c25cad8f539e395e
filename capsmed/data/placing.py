"""Points and diameters that stand in other files: pixels of slices, markups, masks."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from capsmed import config
from capsmed.data import images, markups, pixel_points, points
from capsmed.data.masks import Mask, open_mask
from capsmed.data.problems import Problem
from capsmed.data.progress import shown
from capsmed.data.volume import Volume
from capsmed.errors import CheckFailed, DataError

MOST_THREADS = 4  # a mask of a whole scan takes 300 MB while it is read
_WORTH_A_BAR = 30
Cells = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """What was read for one row, or why it was not.

    Attributes:
        point: RAS+ mm [3]; None where it was not asked for.
        diameter: of the mask, mm; None where it was not asked for.
        fault: what is wrong with the row.
        skip: reason to leave the row out, a check whose policy is 'skip'.
    """

    point: np.ndarray | None = None
    diameter: float | None = None
    fault: Problem | None = None
    skip: str = ""


@dataclass(frozen=True)
class Task:
    """What a row needs from other files.

    Attributes:
        position: of the row.
        cells: the row.
        way: how its point is given; one of `points` that needs a file, or '' for none.
        measure: whether the diameter comes from the mask.
        shared: whether another row names the same segment of the same mask.
        first_pixel: number of the first column and row.
    """

    position: int
    cells: Cells
    way: str
    measure: bool
    shared: bool = False
    first_pixel: int = 0


def tasks(
    rows: Sequence[Cells],
    ways: Sequence[str],
    measure: Sequence[bool] | np.ndarray,
    first_pixel: int | None,
    passed: Collection[int] = (),
) -> list[Task]:
    """The rows for which a file has to be opened.

    Args:
        rows: the table's.
        ways: how each gives its point.
        measure: which diameters are to come from the mask, where there is one.
        first_pixel: number of the first column and row.
        passed: positions of rows that are left out already.
    """
    kept = [i for i in range(len(rows)) if i not in passed]
    uses = Counter(_mask_key(rows[i]) for i in kept if rows[i].get("mask"))
    found = []
    for position in kept:
        cells, way = rows[position], ways[position]
        needed = way if way in (points.PIXEL, points.MARKUP, points.MASK) else ""
        wanted = bool(measure[position]) and bool(cells.get("mask"))
        if needed or wanted:
            masked = wanted or way == points.MASK
            shared = masked and uses[_mask_key(cells)] > 1
            found.append(Task(position, cells, needed, wanted, shared, first_pixel or 0))
    return found


def read(wanted: Sequence[Task], checks: config.Checks, root: Path) -> dict[int, Found]:
    """Open what the rows need, by position; each scan once, several at a time."""
    groups: dict[tuple[str, str], list[Task]] = defaultdict(list)
    for task in wanted:
        groups[task.cells["image"], task.cells.get("series_uid", "")].append(task)

    def work(group: list[Task]) -> list[tuple[int, Found]]:
        scan = _Scan(group[0].cells, root, checks)
        return [(task.position, _read(task, scan, root)) for task in group]

    found: dict[int, Found] = {}
    pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
    with shown(len(groups) >= _WORTH_A_BAR, "placing points") as step, pool:
        try:
            for done, answers in enumerate(pool.map(work, groups.values()), start=1):
                found.update(answers)
                step(done, len(groups))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return found


class _Scan:
    """The image of some rows, opened when the first of them needs it."""

    def __init__(self, cells: Cells, root: Path, checks: config.Checks) -> None:
        self.cells, self.root, self.checks = cells, root, checks

    @cached_property
    def volume(self) -> Volume:
        with _told(f"image '{self.cells['image']}'", "image cannot be read"):
            return images.open_image(self.cells, self.root, self.checks)


class _Unusable(DataError):
    """A row's fault on its way to the list."""

    def __init__(self, detail: str, reason: str) -> None:
        super().__init__(detail)
        self.reason = reason


@contextmanager
def _told(what: str, reason: str) -> Iterator[None]:
    """Turn whatever is raised (each decoder fails in its own way) into a fault of the row."""
    try:
        yield
    except (CheckFailed, _Unusable):
        raise
    except Exception as error:
        raise _Unusable(f"{what}: {str(error) or type(error).__name__}", reason) from error


def _read(task: Task, scan: _Scan, root: Path) -> Found:
    try:
        point = _point(task, scan, root)
        if task.way != points.MASK and not task.measure:
            return Found(point)
        mask = _mask(task, scan, root)
        point = mask.centroid() if task.way == points.MASK else point
        return Found(point, mask.diameter_mm() if task.measure else None)
    except CheckFailed as error:
        reason = f"check {error.check}"
        if error.skips:
            return Found(skip=reason)
        return Found(fault=Problem(task.position, str(error), reason))
    except _Unusable as error:
        return Found(fault=Problem(task.position, str(error), error.reason))


def _point(task: Task, scan: _Scan, root: Path) -> np.ndarray | None:
    cells = task.cells
    if task.way == points.MARKUP:
        with _told(f"markup '{cells['markup']}'", "markup cannot be read"):
            path = images.located(cells["markup"], root)
            return markups.read(path, cells.get("markup_label", ""))
    if task.way == points.PIXEL:
        with _told("point", "point cannot be placed"):
            pixel = pixel_points.read(cells, task.first_pixel)
            return pixel_points.to_ras(pixel, scan.volume)
    return None


def _mask(task: Task, scan: _Scan, root: Path) -> Mask:
    """The row's mask, when it can be used: alone, not empty, and touching the scan."""
    name = f"mask '{task.cells['mask']}'"
    if task.shared:
        detail = f"{name}: it serves several rows; give each its own mask, segment or point"
        raise _Unusable(detail, "mask serves several rows")
    volume = scan.volume
    if not volume.has_mm or len(volume.shape) != 3:
        raise _Unusable(f"{name}: expected a 3D scan in mm to place it in", "image knows no mm")
    with _told(name, "mask cannot be used"):
        path = images.located(task.cells["mask"], root)
        mask = open_mask(path, task.cells.get("mask_segment", ""), volume, scan.checks)
    misfit = mask.misfit(volume)
    if misfit:
        raise _Unusable(f"{name}: it {misfit}", f"mask {misfit}")
    return mask


def _mask_key(cells: Cells) -> tuple[str, str]:
    return str(cells["mask"]), str(cells.get("mask_segment", ""))
