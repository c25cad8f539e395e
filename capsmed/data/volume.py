"""An image on disk or in memory whose voxels are read only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about an image, and what was made of it.

    Attributes:
        check: a key of ``data.checks``, whose policy decides what follows.
        detail: for the terminal; may name files and values.
    """

    check: str
    detail: str


@dataclass(frozen=True)
class SlicePlace:
    """Where one DICOM slice lies.

    Attributes:
        instance_number: InstanceNumber; the frame's number, from 1, in a multi-frame image.
        sop_uid: SOPInstanceUID.
        origin: centre of the slice's first pixel, RAS+ mm [3].
    """

    instance_number: int | None
    sop_uid: str
    origin: tuple[float, float, float]


@dataclass(frozen=True)
class Volume:
    """A lazy image: its geometry is known, its voxels are not yet read.

    Attributes:
        shape: voxels along the index axes x, y (, z), without channels.
        affine: 4x4, index (x, y, z) to RAS+ mm; the identity where the file knows no millimetres.
        meta: ``format`` always; ``patient_id``, ``study_uid``, ``series_uid`` where known.
        read: ``read(box)`` gives the float32 voxels of a box of slices, axes x, y (, z); ``None``
            reads everything. Colour pictures alone have a last axis more: their channels.
        value_range: darkest and brightest value the pixel type can hold; None where that says
            nothing (CT numbers, floats).
        has_mm: whether ``affine`` is in millimetres.
        files: all files that the voxels come from.
        findings: what is odd about the image; the reader has gone on as each check's 'warn' says.
        slices: of DICOM only, in the order of z.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    meta: Mapping[str, str]
    read: Callable[[Box | None], np.ndarray]
    value_range: tuple[float, float] | None = None
    has_mm: bool = field(default=True)
    files: tuple[Path, ...] = ()
    findings: tuple[Finding, ...] = ()
    slices: tuple[SlicePlace, ...] = ()

    @property
    def centre(self) -> np.ndarray:
        """The middle of the volume, RAS+ mm [3]."""
        middle = np.zeros(3)
        middle[: len(self.shape)] = (np.array(self.shape) - 1) / 2
        return self.affine[:3, :3] @ middle + self.affine[:3, 3]

    @property
    def spacing(self) -> np.ndarray:
        """Length of one step along each index axis [3], mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


def from_array(values: np.ndarray, value_range: tuple[float, float] | None, form: str) -> Volume:
    """A Volume over an array that knows no millimetres.

    An array [row, column] or [row, column, 3] is a picture: x runs along its columns, y along its
    rows, as MONAI's PILReader has it. Any other three axes are taken as x, y, z.

    Raises:
        ValueError: the array has neither two nor three axes (nor three and channels).
    """
    colour = values.ndim == 3 and values.shape[-1] == 3
    if values.ndim not in (2, 3):
        raise ValueError(f"expected an array of 2 or 3 axes, got shape {values.shape}")
    ordered = np.swapaxes(values, 0, 1) if values.ndim == 2 or colour else values
    shape = ordered.shape[:2] if colour else ordered.shape

    def read(box: Box | None) -> np.ndarray:
        return np.asarray(ordered[box if box is not None else ...], dtype=np.float32)

    return Volume(shape, np.eye(4), {"format": form}, read, value_range, has_mm=False)


def type_range(dtype: np.dtype) -> tuple[float, float] | None:
    """What an unsigned pixel type of 8 or 16 bits can hold; None for every other type."""
    if dtype == np.bool_:
        return 0.0, 1.0
    if dtype in (np.dtype(np.uint8), np.dtype(np.uint16)):
        return 0.0, float(np.iinfo(dtype).max)
    return None
