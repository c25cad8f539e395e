"""Rotation, zoom and mirroring of a batch, each image by its own amount, in one resampling."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample


def rotations(angles: np.ndarray, axes: int) -> np.ndarray:
    """Rotation matrices [B, axes, axes]: by one angle in the plane, or about x, then y, then z.

    Args:
        angles: radians [B, 1] for 2 axes, [B, 3] for 3.
        axes: 2 or 3.
    """
    planes = {2: [(0, 1)], 3: [(1, 2), (2, 0), (0, 1)]}[axes]
    total = np.broadcast_to(np.eye(axes), (len(angles), axes, axes)).copy()
    for column, (first, second) in enumerate(planes):
        one = np.broadcast_to(np.eye(axes), total.shape).copy()
        cosine, sine = np.cos(angles[:, column]), np.sin(angles[:, column])
        one[:, first, first] = one[:, second, second] = cosine
        one[:, first, second], one[:, second, first] = -sine, sine
        total = one @ total
    return total


def margin(
    size: Sequence[int], spacing: Sequence[float], degrees: float, scale: float
) -> tuple[int, ...]:
    """Voxels each side must carry so that no rotation or zoom looks past the edge.

    Args:
        size: voxels of the result.
        spacing: mm (or any one unit) along each axis.
        degrees: largest rotation about each axis.
        scale: largest zoom, as a fraction.
    """
    axes = len(size)
    half = (np.array(size) - 1) / 2
    steps = np.linspace(-1, 1, 9) * np.deg2rad(min(degrees, 180.0))
    angles = np.array(list(itertools.product(steps, repeat=1 if axes == 2 else 3)))
    matrices = _in_voxels(rotations(angles, axes), np.asarray(spacing, dtype=float))
    reach = (np.abs(matrices) @ half).max(0) * (1 + scale)
    return tuple(int(n) for n in np.ceil(np.round(reach - half, 6)).clip(0))


def affine(
    images: torch.Tensor,
    matrices: np.ndarray,
    size: Sequence[int],
    spacing: Sequence[float],
) -> torch.Tensor:
    """Resample each image about its centre by its own matrix, linearly.

    The same numbers as MONAI's batched ``AffineTransform`` layer, whose import takes seconds in
    every worker. MONAI's RandAffine takes one image at a time: 1.1 ms against 0.01 ms for 28x28
    pixels, 3.8 against 2.7 ms for 32x32x32 (one core).

    Args:
        images: [B, C, *spatial], with the margin that ``margin`` names.
        matrices: [B, axes, axes], from a place in the result to a place in the image, both in mm
            from the centre.
        size: voxels of the result.
        spacing: mm along each axis.

    Returns:
        [B, C, *size].
    """
    voxels = _in_voxels(matrices, np.asarray(spacing, dtype=float))
    theta = voxels * (np.array(size) / 2) * (2 / np.array(images.shape[2:]))[:, None]
    theta = theta[:, ::-1, ::-1]  # torch counts axes from the last
    theta = np.concatenate([theta, np.zeros((*theta.shape[:2], 1))], axis=2)
    grid = affine_grid(
        torch.as_tensor(theta, dtype=images.dtype), [*images.shape[:2], *size], align_corners=False
    )
    return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _in_voxels(matrices: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    return matrices * spacing / spacing[:, None]
