"""NIfTI images through nibabel; the affine is already RAS+."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from capsmed.data.volume import Box, Volume
from capsmed.errors import DataError


def open_volume(path: Path) -> Volume:
    """Open a 3D .nii or .nii.gz; voxels are read, with the file's slope, only when asked for.

    Raises:
        DataError: the file is no NIfTI image, not 3D, or not in millimetres.
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nib.load(path)
    except (ImageFileError, EOFError, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as NIfTI ({error})") from error
    shape = tuple(int(n) for n in image.shape)
    if len(shape) < 3 or any(n != 1 for n in shape[3:]):
        raise DataError(f"{path}: expected a 3D image, got shape {list(shape)}; split it first")
    units = image.header.get_xyzt_units()[0]
    if units not in ("mm", "unknown"):
        raise DataError(f"{path}: expected millimetres, got '{units}'; rewrite its header")
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise DataError(f"{path}: its affine cannot be inverted; mend the header")

    def read(box: Box | None) -> np.ndarray:
        box = box if box is not None else (slice(None),) * 3
        return np.asarray(image.dataobj[box + (0,) * (len(shape) - 3)], dtype=np.float32)

    return Volume(shape[:3], affine, {"format": "nifti"}, read)
