"""Cutting the patches of many image files at once, or taking them from the cache."""

from __future__ import annotations

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
from capsmed.data.cores import cores
from capsmed.data.cut import NO_DEPTH, cut, padded_share
from capsmed.data.fitting import fitting_mask
from capsmed.data.patch_cache import Cut, PatchCache
from capsmed.data.patch_key import file_identity, patch_key, volume_identity
from capsmed.data.problems import told
from capsmed.data.progress import Progress
from capsmed.data.volume import Volume
from capsmed.errors import ConfigError, DataError

#: New patches of one image that are held before they go into the cache.
HELD = 64

Row = Mapping[str, Any]
Answer = Cut | DataError | ConfigError


def cut_all(
    cohort: Cohort,
    rows: Sequence[Row],
    patch: config.Patch,
    margin: tuple[int, ...],
    into: np.ndarray,
    progress: Progress,
) -> list[Answer]:
    """Cut the patch of each row; say what was cut, or what went wrong, in the order of the rows.

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

    def work(positions: list[int]) -> list[Answer]:
        return _cut_scan(job, [rows[i] for i in positions], [into[i] for i in positions])

    found: dict[int, Answer] = {}
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
    """One image, opened when the first of its patches is not in the cache.

    Its new patches are kept if its files are still what they were before it was opened.
    """

    def __init__(self, job: _Job, row: Row) -> None:
        self.job, self.row = job, row
        self.path = images.located(str(row["image"]), job.cohort.root)
        self.before = file_identity(self.path) if job.cache.limit else ""
        self.identity = self._identity(self.before)
        self.fresh: dict[str, Cut] = {}

    @cached_property
    def volume(self) -> Volume:
        return self.job.cohort.volume(self.row)

    def patch(self, row: Row) -> Cut:
        """The patch of one of its rows, from the cache or cut."""
        key = self._key(row) if self.identity else ""
        found = self.job.cache.get(key) if key else None
        if found is None:
            found = _cut(self.volume, row, self.job)
            self.fresh |= {key: found} if key else {}
        if len(self.fresh) >= HELD:
            self.keep()
        return found

    def keep(self) -> None:
        """Put the new patches into the cache, or let them go where the image has changed."""
        now = file_identity(self.path) if self.fresh else ""
        if now and now == self.before and self._identity(now) == self.identity:
            for key, found in self.fresh.items():
                self.job.cache.put(key, found)
        self.fresh.clear()

    def _identity(self, named: str) -> str:
        """What all files of the image are now; '' when patches of it are not cached.

        Args:
            named: what the file or folder that the row names is now.
        """
        return named if not named or self.path.is_dir() else volume_identity(self.volume)

    def _key(self, row: Row) -> str:
        job, series = self.job, str(row.get("series_uid", ""))
        source = self.identity
        if _unseen_mask(row):
            source += file_identity(images.located(str(row["mask"]), job.cohort.root))
            source += str(row.get("mask_segment", ""))
        return patch_key(source, series, _given(row), job.patch, job.margin, job.cohort.checks)


def _cut_scan(job: _Job, rows: Sequence[Row], into: Sequence[np.ndarray]) -> list[Answer]:
    """Cut the patches of one image into their places."""
    answers: list[Answer] = []
    scan = None
    for row, place in zip(rows, into, strict=True):
        try:
            with told(f"image '{row['image']}'", "image cannot be read"):
                scan = scan or _Scan(job, row)
                found = scan.patch(row)
            place[...] = found.values
            answers.append(Cut(np.empty(0), found.padded, found.findings))
        except (DataError, ConfigError) as error:
            answers.append(_light(error))
        job.done.step()
    if scan:
        scan.keep()
    return answers


def _cut(volume: Volume, row: Row, job: _Job) -> Cut:
    if _unseen_mask(row):
        fitting_mask(row, volume, job.cohort.root, job.cohort.checks)
    point = _point(row, volume)
    values = cut(volume, point, job.patch, job.margin)
    checks = tuple(dict.fromkeys(finding.check for finding in volume.findings))
    return Cut(values, padded_share(volume, point, job.patch), checks)


def _unseen_mask(row: Row) -> bool:
    """Whether the row has a mask that was not opened for its point or diameter."""
    opened = "mask" in (row.get("point_from"), row.get("diameter_from"))
    return bool(row.get("mask")) and not opened


def _given(row: Row) -> list[float]:
    """The coordinates that the row has: three, two for a picture, or none."""
    return [mm for axis in "xyz" if isinstance(mm := row.get(axis), float) and mm == mm]


def _point(row: Row, volume: Volume) -> np.ndarray | None:
    given = _given(row)
    if not given:
        return None
    if len(volume.shape) == 3 and len(given) < 3:
        raise DataError("point: expected x, y and z in mm, got no z; add the column z", NO_DEPTH)
    return np.array([*given, 0.0][:3])


def _light(error: DataError | ConfigError) -> DataError | ConfigError:
    """The error without what led to it, whose frames hold the voxels of the image."""
    error.__cause__ = error.__context__ = error.__traceback__ = None
    return error


class _Counter:
    """Counts what several threads have done and tells it."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total = progress, total
        self.done, self.lock = 0, threading.Lock()

    def step(self) -> None:
        with self.lock:
            self.done += 1
            self.progress(self.done, self.total)
