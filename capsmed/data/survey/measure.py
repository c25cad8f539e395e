"""Looking at the cases of one image: values in the box, evidence at the point, small pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from capsmed import config
from capsmed.data import points
from capsmed.data.cohort import Cohort
from capsmed.data.cut import NO_DEPTH, NOT_FINITE, OUTSIDE, check_suits, padded_share
from capsmed.data.cut import window as intensities
from capsmed.data.fitting import fitting_mask
from capsmed.data.masks import Mask
from capsmed.data.problems import told
from capsmed.data.survey import cuts
from capsmed.data.survey.case import Box, Case, Note
from capsmed.data.survey.cuts import Cuts
from capsmed.data.survey.frames import MIRROR, look
from capsmed.data.survey.geometry import box_lengths, image_digest, inside_box, suited
from capsmed.data.survey.odd import notes_of
from capsmed.data.survey.region import digest, kept, region, to_index, within
from capsmed.data.volume import Volume
from capsmed.errors import CheckFailed, ConfigError, DataError

Row = Mapping[str, Any]
Show = Callable[[int, Cuts], None]

#: Columns that a Case has as fields of its own.
OWN = ("case_id", "patient_id", "label", "excluded", "diameter_mm", "image", "mask", "position")


@dataclass(frozen=True)
class Look:
    """How to look at a cohort.

    Attributes:
        patch: the crop box.
        chosen: whether somebody chose that patch, so that an image it does not suit is at fault.
        checks: the policies by which findings are judged.
        show: takes the pictures of a case, by its position.
    """

    patch: config.Patch
    chosen: bool
    checks: config.Checks
    show: Show


def look_at(cohort: Cohort, rows: Sequence[tuple[int, Row]], how: Look) -> list[Case]:
    """The cases of one image, which is opened once.

    Nothing is raised: what cannot be read becomes a note of its case.

    Args:
        cohort: opens images; its checks let every finding pass that can be gone on with.
        rows: position and row of each case that names the image.
        how: box, policies, and who takes the pictures.
    """
    try:
        with _image(rows[0][1]):
            volume = kept(cohort.volume(rows[0][1]))
            named = image_digest(volume)
    except (DataError, ConfigError) as error:
        return [replace(start(*row), notes=_unread(error, how.checks)) for row in rows]
    return [
        _case(cohort, *row, replace(start(*row), image_digest=named), volume, how) for row in rows
    ]


def start(position: int, row: Row) -> Case:
    """What the table alone says of a case."""
    known = isinstance(row.get("x"), float)
    return Case(
        position,
        str(row["case_id"]),
        str(row["patient_id"]),
        str(row["label"]),
        f"{row.get('image', '')}#{row['position']}" if "position" in row else str(row["image"]),
        left_out=str(row["excluded"]),
        diameter_mm=float(row["diameter_mm"]),
        diameter_from=str(row.get("diameter_from", "")),
        point_from=str(row.get("point_from", points.MM if known else points.CENTRE)),
        cells={str(k): str(v) for k, v in row.items() if k not in OWN},
    )


def _case(cohort: Cohort, position: int, row: Row, case: Case, volume: Volume, how: Look) -> Case:
    case = replace(
        case,
        shape=volume.shape,
        spacing=tuple(map(float, volume.spacing)) if volume.has_mm else (),
        meta=dict(volume.meta),
    )
    try:
        with _image(row):
            return _looked(cohort, row, case, volume, how)
    except (DataError, ConfigError) as error:
        return replace(case, notes=_unread(error, how.checks))


def _looked(cohort: Cohort, row: Row, case: Case, volume: Volume, how: Look) -> Case:
    point = _point(row, volume)
    mask, faults = _mask(cohort, row, volume, how.checks)
    contains = None if mask is None else mask.contains
    case = replace(case, point=point, has_mask=mask is not None)
    if len(volume.shape) == 3 and volume.has_mm:
        doubted = case.point_from == points.MM
        case = replace(
            case,
            given=look(volume, point, contains),
            mirrored=look(volume, point * MIRROR, contains) if doubted else None,
        )
    if how.chosen:
        check_suits(volume, how.patch)
        intensities(volume, how.patch)
    if within(to_index(point, volume.affine)[: len(volume.shape)], volume.shape):
        box, pictures = _box(volume, point, suited(how.patch, volume), contains)
        how.show(case.position, pictures)
        case = replace(case, box=box)
    return replace(case, notes=(*faults, *notes_of(case, volume, mask, how.checks)))


def _box(
    volume: Volume,
    point: np.ndarray,
    patch: config.Patch,
    contains: cuts.Contains | None,
) -> tuple[Box, Cuts]:
    lengths = box_lengths(volume, patch)
    flat = len(volume.shape) == 2
    width = _width(volume, lengths)
    half = np.append(volume.shape, 1.0) if flat else np.full(3, width / 2)
    around = region(volume, point, half)
    if around is None:
        raise DataError("the point lies outside the volume", OUTSIDE)
    values = inside_box(around, point, lengths)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise DataError(f"image: {bad} voxels of the patch are NaN or infinite", NOT_FINITE)
    if not values.size:
        raise DataError("the crop box holds no voxel's centre; take a larger one", "empty crop box")
    low, first, median, last, high = np.percentile(values, [0, 1, 50, 99, 100]).tolist()
    beyond = padded_share(volume, point, patch)
    box = Box(low, first, median, last, high, beyond, digest(values, volume.affine))
    window = cuts.natural_window(around.values, volume.value_range, volume.has_mm)
    if flat:
        return box, cuts.picture(around.values, point, lengths, window)
    return box, cuts.three(around, point, lengths, width, volume.has_mm, window, contains)


def _width(volume: Volume, lengths: np.ndarray) -> float:
    """How much a cut shows, mm: twice the box, but not much more than there is."""
    dims = len(volume.shape)
    extent = (np.abs(volume.affine[:dims, :dims]) @ np.array(volume.shape)).max()
    return float(min(2 * lengths.max(), max(1.1 * lengths.max(), extent)))


def _point(row: Row, volume: Volume) -> np.ndarray:
    if not isinstance(row.get("x"), float):
        return volume.centre
    point = np.array([row["x"], row["y"], row.get("z", 0.0)], dtype=float)
    if len(volume.shape) == 3 and not isinstance(row.get("z"), float):
        raise DataError("point: expected x, y and z in mm, got no z; add the column z", NO_DEPTH)
    return volume.centre if np.isnan(point).any() else point


def _mask(
    cohort: Cohort, row: Row, volume: Volume, checks: config.Checks
) -> tuple[Mask | None, tuple[Note, ...]]:
    """The row's mask, or why a training would refuse it."""
    if not row.get("mask") or cohort.images is not None:
        return None, ()
    try:
        return fitting_mask(row, volume, cohort.root, checks), ()
    except DataError as error:
        return None, _unread(error, checks)


def _unread(error: DataError | ConfigError, checks: config.Checks) -> tuple[Note, ...]:
    if isinstance(error, ConfigError):
        return (Note("mend", "the patch does not suit the image", str(error)),)
    if isinstance(error, CheckFailed) and getattr(checks, error.check) == "skip":
        return (Note("look", f"{error.reason} (skipped)", str(error)),)
    return (Note("mend", error.reason, str(error)),)


def _image(row: Row) -> AbstractContextManager[None]:
    return told(f"image '{row.get('image', '')}'", "image cannot be read")
