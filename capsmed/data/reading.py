"""Cutting the patches of many image files at once, or taking them from the cache."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from capsmed import config
from capsmed.data import images
from capsmed.data.cohort import Cohort
from capsmed.data.cut import cut, padded_share
from capsmed.data.patch_cache import Cut, PatchCache
from capsmed.data.patch_key import file_identity, folder_identity, patch_key, volume_identity
from capsmed.data.progress import Progress
from capsmed.data.volume import Volume
from capsmed.errors import CheckFailed, DataError

Row = Mapping[str, Any]


def cut_all(
    cohort: Cohort,
    rows: Sequence[Row],
    patch: config.Patch,
    margin: tuple[int, ...],
    into: np.ndarray,
    progress: Progress,
) -> list[Cut | Exception]:
    """The patch of each row, or what went wrong with it, in the order of the rows.

    The rows of one image are cut one after another, images at the same time in threads: reading
    and decompressing let go of Python's lock, and threads hold no second copy of anything.

    Args:
        cohort: where the images are.
        rows: with what names the image and the point.
        patch: the config's section.
        margin: voxels more on each side.
        into: float32 [len(rows), channels, *size + 2 * margin]; the patches are written here.
        progress: called with (rows done, rows in all), never by two threads at once.
    """
    job = _Job(cohort, patch, margin, PatchCache.default(), _Counter(progress, len(rows)))
    scans: dict[tuple[str, str], list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        scans[str(row["image"]), str(row.get("series_uid", ""))].append(position)

    def work(positions: list[int]) -> list[Cut | Exception]:
        answers = _cut_scan(job, [rows[position] for position in positions])
        for position, answer in zip(positions, answers, strict=True):
            if isinstance(answer, Cut):
                into[position] = answer.values
        return [_light(answer) for answer in answers]

    found: dict[int, Cut | Exception] = {}
    with threadpool_limits(1, user_api="blas"):  # the threads here are enough
        pool = ThreadPoolExecutor(min(cores(), len(scans) or 1))
        try:
            results = pool.map(work, scans.values())
            for positions, answers in zip(scans.values(), results, strict=True):
                found.update(zip(positions, answers, strict=True))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    job.cache.prune()
    return [found[position] for position in range(len(rows))]


@dataclass(frozen=True)
class _Job:
    """What is the same for every image of one reading."""

    cohort: Cohort
    patch: config.Patch
    margin: tuple[int, ...]
    cache: PatchCache
    done: _Counter


class _Scan:
    """One image, opened when the first of its patches is not in the cache."""

    def __init__(self, job: _Job, row: Row) -> None:
        self.job, self.row = job, row
        self.identity = self._identity()

    @cached_property
    def volume(self) -> Volume:
        return self.job.cohort.volume(self.row)

    def unchanged(self) -> bool:
        """Whether the files are still what they were when this began."""
        return self._identity() == self.identity

    def _identity(self) -> str:
        """What the files are now; '' when patches of this image are not cached."""
        if not self.job.cache.limit:
            return ""
        path = images.located(str(self.row["image"]), self.job.cohort.root)
        return folder_identity(path) if path.is_dir() else volume_identity(self.volume)

    def key(self, row: Row) -> str:
        job, series = self.job, str(row.get("series_uid", ""))
        source = self.identity
        if _unseen_mask(row):
            source += file_identity(images.located(str(row["mask"]), job.cohort.root))
            source += str(row.get("mask_segment", ""))
        return patch_key(source, series, _given(row), job.patch, job.margin, job.cohort.checks)


def _cut_scan(job: _Job, rows: Sequence[Row]) -> list[Cut | Exception]:
    """The patches of one image; they are kept if its files are still what they were before."""
    answers: list[Cut | Exception] = []
    fresh: dict[str, Cut] = {}
    scan = None
    for row in rows:
        try:
            scan = scan or _Scan(job, row)
            key = scan.key(row) if scan.identity else ""
            found = job.cache.get(key) if key else None
            if found is None:
                found = _cut(scan.volume, row, job)
                fresh |= {key: found} if key else {}
            answers.append(found)
        except Exception as error:  # any decoder may fail in its own way
            answers.append(error)
        job.done.step()
    if scan and fresh and scan.unchanged():
        for key, patch in fresh.items():
            job.cache.put(key, patch)
    return answers


def _cut(volume: Volume, row: Row, job: _Job) -> Cut:
    if _unseen_mask(row):
        _check_mask(volume, row, job.cohort)
    point = _point(row, volume)
    values = cut(volume, point, job.patch, job.margin)
    checks = tuple(dict.fromkeys(finding.check for finding in volume.findings))
    return Cut(values, padded_share(volume, point, job.patch), checks)


def _unseen_mask(row: Row) -> bool:
    """Whether the row has a mask that was not opened for its point or diameter."""
    opened = "mask" in (row.get("point_from"), row.get("diameter_from"))
    return bool(row.get("mask")) and not opened


def _check_mask(volume: Volume, row: Row, cohort: Cohort) -> None:
    name = f"mask '{row['mask']}'"
    if not volume.has_mm or len(volume.shape) != 3:
        raise DataError(f"{name}: expected a 3D scan in mm to place it in")
    try:
        mask = cohort.mask(row, volume)
    except CheckFailed:
        raise
    except Exception as error:  # any decoder may fail in its own way
        raise DataError(f"{name}: {str(error) or type(error).__name__}") from error
    misfit = mask.misfit(volume) if mask else ""
    if misfit:
        raise DataError(f"{name}: it {misfit}")


def _given(row: Row) -> list[float]:
    """The coordinates that the row has: three, two for a picture, or none."""
    return [mm for axis in "xyz" if isinstance(mm := row.get(axis), float) and mm == mm]


def _point(row: Row, volume: Volume) -> np.ndarray | None:
    given = _given(row)
    if not given:
        return None
    if len(volume.shape) == 3 and len(given) < 3:
        raise DataError("point: expected x, y and z in mm, got no z; add the column z")
    return np.array([*given, 0.0][:3])


def _light(answer: Cut | Exception) -> Cut | Exception:
    """The answer without its voxels, which are where they belong by now."""
    return Cut(np.empty(0), answer.padded, answer.findings) if isinstance(answer, Cut) else answer


def cores() -> int:
    """The cores that this process may use, which a container may have fewer of."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Counter:
    """Counts what several threads have done and tells it."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total = progress, total
        self.done, self.lock = 0, threading.Lock()

    def step(self) -> None:
        with self.lock:
            self.done += 1
            self.progress(self.done, self.total)
