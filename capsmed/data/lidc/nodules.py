"""A nodule of LIDC-IDRI on the grid of its scan: what half of its readers enclosed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from capsmed.data.lidc.clusters import Outlined, outlined
from capsmed.data.lidc.outlines import consensus, reader_masks
from capsmed.data.lidc.readings import Reading
from capsmed.data.masks.mask import Mask
from capsmed.data.volume import Volume

_FROM_SLICE = 0.25  # of the step between slices: how far an outline's z may be from its slice's


@dataclass(frozen=True)
class Nodule:
    """One nodule as its readers saw it.

    Attributes:
        readings: one a reader.
        mask: the voxels that at least half of the readers enclosed, on the scan's grid.
    """

    readings: tuple[Reading, ...]
    mask: Mask

    @property
    def malignancy(self) -> float:
        """The median of the readers' ratings, 1 to 5."""
        return statistics.median(reading.malignancy for reading in self.readings)

    @property
    def label(self) -> str:
        """``benign`` below a median of 3, ``malignant`` above, ``indeterminate`` at 3."""
        if self.malignancy == 3:
            return "indeterminate"
        return "benign" if self.malignancy < 3 else "malignant"


def place(reading: Reading, volume: Volume) -> Outlined | None:
    """The reading on the scan's grid; None when part of it lies outside.

    A contour is on the slice whose SOPInstanceUID it names; without one on the slice at its z.
    """
    contours = []
    for drawn, sop_uid in zip(reading.contours, reading.slices, strict=True):
        level = _level(volume, sop_uid, drawn.z)
        inside = (drawn.points >= 0) & (drawn.points < volume.shape[:2])
        if level is None or not inside.all():
            return None
        contours.append(replace(drawn, z=level))
    return outlined(reading, tuple(contours), base=0, slice_spacing=1)


def nodule(group: Sequence[Outlined], volume: Volume) -> Nodule:
    """The consensus of a group of readings; its mask may be empty."""
    contours = [
        replace(drawn, reader=number) for number, r in enumerate(group) for drawn in r.contours
    ]
    corner = [*np.concatenate([c.points for c in contours]).min(axis=0), min(c.z for c in contours)]
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ corner
    mask = Mask(consensus(reader_masks(contours, 1)), affine).cropped()
    return Nodule(tuple(r.reading for r in group), mask)


def _level(volume: Volume, sop_uid: str, z: float) -> int | None:
    """Index of the slice along the volume's third axis."""
    if sop_uid:
        known = {place.sop_uid: place.origin for place in volume.slices}
        return _index(volume, known[sop_uid]) if sop_uid in known else None
    nearest = min(volume.slices, key=lambda place: abs(place.origin[2] - z))
    if abs(nearest.origin[2] - z) > _FROM_SLICE * volume.spacing[2]:
        return None
    return _index(volume, nearest.origin)


def _index(volume: Volume, origin: Sequence[float]) -> int:
    return round(float(np.linalg.solve(volume.affine, [*origin, 1.0])[2]))
