"""The usual MONAI pipeline for a patch around a point: load, orient, resample, scale, crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from monai.data import PydicomReader
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
    SpatialCrop,
)

from capsmed import config


def crop(scan: Path, point: np.ndarray, patch: config.Patch) -> tuple[np.ndarray, np.ndarray]:
    """The patch at the voxel nearest to a point, float32 [1, *size], and its centre, RAS mm."""
    low, high = patch.window
    pipeline = Compose(
        [
            LoadImaged("image", reader=PydicomReader()),
            EnsureChannelFirstd("image"),
            Orientationd("image", axcodes="RAS"),
            Spacingd("image", pixdim=(patch.spacing,) * 3, mode="bilinear"),
            ScaleIntensityRanged("image", low, high, 0.0, 1.0, clip=True),
        ]
    )
    image = pipeline({"image": str(scan)})["image"]
    centre = (np.linalg.inv(image.affine.numpy()) @ [*point, 1])[:3]
    cut = SpatialCrop(roi_center=np.round(centre).astype(int), roi_size=patch.size)
    found = cut(image)
    middle = (np.array(patch.size) - 1) / 2
    return found.numpy(), (found.affine.numpy() @ [*middle, 1])[:3]
