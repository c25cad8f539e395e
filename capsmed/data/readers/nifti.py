"""NIfTI images (.nii, .nii.gz); nibabel reads the header, the affine is already RAS+."""

from __future__ import annotations

import itertools
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from capsmed.data.readers import world
from capsmed.data.readers.stored import Block
from capsmed.data.volume import Finding, Volume
from capsmed.errors import DataError

_FORM_TOLERANCE = 0.5  # of the shortest step
_QFORM_ROUNDING = 1.5e-3  # rad; what a float32 quaternion loses close to half a turn


def open_volume(path: Path) -> Volume:
    """Open a 3D .nii or .nii.gz; voxels are read, with the file's slope, only when asked for.

    The sform places the voxels, or else the qform. Without either, the axes are taken as RAS with
    the first voxel at the origin (finding 'missing_geometry'). Where both are set and a corner of
    the volume lies apart by more than half the shortest step, and by more than the rounding of a
    qform explains (1.5 mm a metre), the finding is 'form_conflict'.

    Raises:
        DataError: the file is no NIfTI image, cut off, not 3D, not of real numbers, not in
            millimetres, or its affine cannot place voxels.
    """
    image = _loaded(path)
    shape = tuple(int(n) for n in image.shape)
    if len(shape) < 3 or any(n != 1 for n in shape[3:]):
        raise DataError(f"{path}: expected a 3D image, got shape {list(shape)}; split it first")
    stored = image.dataobj
    if stored.dtype.kind not in "iuf":
        raise DataError(f"{path}: expected real numbers, got voxels of {stored.dtype}")
    if stored.offset < image.header.single_vox_offset:
        raise DataError(
            f"{path}: expected its voxels behind the header, at byte "
            f"{image.header.single_vox_offset}, got byte {stored.offset}; mend the header"
        )
    units = image.header.get_xyzt_units()[0]
    if units not in ("mm", "unknown"):
        raise DataError(f"{path}: expected millimetres, got '{units}'; rewrite its header")
    affine, findings = _placed(image.header, shape[:3], path)
    packed = path.name.lower().endswith(".gz")
    start, skip = (0, stored.offset) if packed else (stored.offset, 0)
    block = Block(path, shape[:3], stored.dtype, "deflate" if packed else "raw", start, skip)
    scale = (float(stored.slope), float(stored.inter))
    return world.volume(block.check(exact=False), affine, "nifti", findings=findings, scale=scale)


def _loaded(path: Path) -> Any:
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image: Any = nib.load(path)
        if not isinstance(image, nib.Nifti1Image):
            raise ValueError(f"it is a {type(image).__name__}")
        image.header.get_xyzt_units()
    except (
        ImageFileError,
        HeaderDataError,
        EOFError,
        KeyError,
        OSError,
        ValueError,
        zlib.error,
    ) as error:
        raise DataError(f"{path}: cannot be read as NIfTI ({error})") from error
    return image


def _placed(
    header: Any, shape: tuple[int, ...], path: Path
) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """The affine, index to RAS+ mm, and what is odd about it."""
    has_sform, has_qform = int(header["sform_code"]) != 0, int(header["qform_code"]) != 0
    if not (has_sform or has_qform):
        detail = "it has neither an sform nor a qform, so its place in the patient is unknown"
        pixdim = np.diag([*np.abs(header["pixdim"][1:4].astype(float)), 1.0])
        return world.checked(pixdim, path), (Finding("missing_geometry", detail),)
    affine = world.checked(header.get_sform() if has_sform else _qform(header), path)
    if not (has_sform and has_qform):
        return affine, ()
    apart = _apart(affine, _qform(header), shape)
    if not apart:
        return affine, ()
    detail = f"its sform and qform place a corner {apart:.2f} mm apart; the sform is taken"
    return affine, (Finding("form_conflict", detail),)


def _apart(sform: np.ndarray, qform: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest distance of a corner that both place, mm; 0 where rounding or half a step hide it."""
    corners = np.array([*itertools.product(*([0, n - 1] for n in shape), [1])])
    apart = np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1)
    span = np.linalg.norm((corners @ sform.T)[:, :3] - sform[:3, 3], axis=1)
    hidden = _FORM_TOLERANCE * np.linalg.norm(sform[:3, :3], axis=0).min()
    agree = apart <= np.maximum(hidden, _QFORM_ROUNDING * span)
    return 0.0 if agree.all() else float(apart.max())


def _qform(header: Any) -> np.ndarray:
    try:
        return np.asarray(header.get_qform(), dtype=float)
    except ValueError:  # no rotation is meant by its quaternion
        return np.full((4, 4), np.nan)
