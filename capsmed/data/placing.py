"""Points and diameters that stand in other files: pixels of slices, markups, masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from capsmed import config
from capsmed.data import images, markups, pixel_points, points
from capsmed.data.cores import cores
from capsmed.data.fitting import fitting_mask
from capsmed.data.masks import Mask
from capsmed.data.problems import Problem, told
from capsmed.data.progress import shown
from capsmed.data.volume import Volume
from capsmed.errors import CheckFailed, DataError

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
    pool = ThreadPoolExecutor(min(cores(), len(groups) or 1))
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
        with told(f"image '{self.cells['image']}'", "image cannot be read"):
            return images.open_image(self.cells, self.root, self.checks)


def _read(task: Task, scan: _Scan, root: Path) -> Found:
    try:
        point = _point(task, scan, root)
        if task.way != points.MASK and not task.measure:
            return Found(point)
        mask = _mask(task, scan, root)
        point = mask.centroid() if task.way == points.MASK else point
        return Found(point, mask.diameter_mm() if task.measure else None)
    except CheckFailed as error:
        if error.skips:
            return Found(skip=error.reason)
        return Found(fault=Problem(task.position, str(error), error.reason))
    except DataError as error:
        return Found(fault=Problem(task.position, str(error), error.reason))


def _point(task: Task, scan: _Scan, root: Path) -> np.ndarray | None:
    cells = task.cells
    if task.way == points.MARKUP:
        with told(f"markup '{cells['markup']}'", "markup cannot be read"):
            path = images.located(cells["markup"], root)
            return markups.read(path, cells.get("markup_label", ""))
    if task.way == points.PIXEL:
        with told("point", "point cannot be placed"):
            pixel = pixel_points.read(cells, task.first_pixel)
            return pixel_points.to_ras(pixel, scan.volume)
    return None


def _mask(task: Task, scan: _Scan, root: Path) -> Mask:
    """The row's mask, when it can be used: alone, not empty, and touching the scan."""
    if task.shared:
        raise DataError(
            f"mask '{task.cells['mask']}': it serves several rows; give each its own mask, "
            "segment or point",
            "mask serves several rows",
        )
    return fitting_mask(task.cells, scan.volume, root, scan.checks)


def _mask_key(cells: Cells) -> tuple[str, str]:
    return str(cells["mask"]), str(cells.get("mask_segment", ""))
