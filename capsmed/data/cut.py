"""Cutting one patch out of a volume: a grid in mm along RAS+ x, y, z, or the image's own voxels."""

from __future__ import annotations

import numpy as np

from capsmed import config
from capsmed.data.resample import Grid, resample
from capsmed.data.volume import Volume
from capsmed.errors import ConfigError, DataError

#: Reasons of the errors that a point or a patch gives.
OUTSIDE, NOT_FINITE = "point outside the volume", "NaN or infinite voxels"
NO_DEPTH = "point without z"


def cut(
    volume: Volume,
    point: np.ndarray | None,
    patch: config.Patch,
    margin: tuple[int, ...] | None = None,
) -> np.ndarray:
    """The patch around ``point``, or around the volume's centre.

    With ``patch.spacing`` the voxel centres lie at point + (i - (n - 1) / 2) * spacing along the
    patient's axes (RAS+), whatever the orientation of the file; values are interpolated linearly,
    after a Gaussian of sd (f - 1) / 2 voxels along each axis that is coarsened f times. Without it
    the patch is the image's own voxels along its own axes. What lies outside the volume is 0, the
    lowest value of the window. ``spatial_dims`` 2 takes the axial plane through the point of a
    volume (its own z plane without spacing).

    Args:
        volume: the image.
        point: RAS+ mm [3]; pictures: column, row, 0.
        patch: the config's section.
        margin: voxels more on each side, one number an axis.

    Returns:
        float32 [channels, *size + 2 * margin] from 0 to 1.

    Raises:
        ConfigError: the config does not suit images of this kind.
        DataError: the point lies outside the volume, or voxels of the patch are not numbers.
    """
    low, high = window(volume, patch)
    check_suits(volume, patch)
    grid = _grid(volume, point, patch, margin)
    if patch.spacing is None:
        values = _own_voxels(volume, grid, low)
    else:
        first, last = grid.box(volume.shape)
        values = resample(_read(volume, first, last), grid.moved(-first), low)
    if len(volume.shape) == 3 and patch.spatial_dims == 2:
        values = values[:, :, 0]
    scaled = (np.clip(values, low, high) - low) / (high - low)
    colour = scaled.ndim > patch.spatial_dims
    return (np.moveaxis(scaled, -1, 0) if colour else scaled[None]).astype(np.float32)


def padded_share(volume: Volume, point: np.ndarray | None, patch: config.Patch) -> float:
    """Share of a patch's voxel centres, 0 to 1, that lie outside the volume.

    Args:
        volume: the image.
        point: as for `cut`.
        patch: the config's section; a margin for the augmentation does not count.
    """
    return _grid(volume, point, patch, None).share_outside(volume.shape)


def window(volume: Volume, patch: config.Patch) -> tuple[float, float]:
    """The values that become 0 and 1: the config's, or what the pixel type can hold.

    Raises:
        ConfigError: no window is given and the pixel type names none, or a window below zero is
            given for pixels that cannot be negative.
    """
    known = volume.value_range
    if patch.window is None:
        if known is None:
            raise ConfigError(
                "patch.window: expected [low, high], as this image's pixel type has no natural "
                "range; give for example [-1000, 400] for CT"
            )
        return known
    if known is not None and patch.window[0] < known[0]:
        raise ConfigError(
            f"patch.window: expected values between {known[0]:g} and {known[1]:g}, got "
            f"{list(patch.window)}: these are grey values, not HU; set patch.window: null"
        )
    return patch.window


def check_suits(volume: Volume, patch: config.Patch) -> None:
    """Refuse a patch that cannot be cut from an image of this kind.

    Raises:
        ConfigError: dimensions, spacing or channels do not suit.
    """
    if len(volume.shape) < patch.spatial_dims:
        raise ConfigError("patch.spatial_dims: expected 2, as the image is a picture, got 3")
    if patch.spacing is not None and not volume.has_mm:
        raise ConfigError(
            f"patch.spacing: expected null, as a {volume.meta['format']} image knows no "
            f"millimetres, got {patch.spacing}"
        )
    corner = volume.read((slice(0, 1),) * len(volume.shape)) if not volume.has_mm else None
    channels = 1 if corner is None or corner.ndim == len(volume.shape) else corner.shape[-1]
    if channels != patch.channels:
        raise ConfigError(
            f"patch.channels: expected {channels}, as the image has, got {patch.channels}"
        )


def start_of(index: np.ndarray, size: np.ndarray) -> np.ndarray:
    """First voxel, per axis, of ``size`` voxels around a place in index coordinates."""
    return np.ceil(np.round(index - (size - 1) / 2, 6) - 0.5).astype(int)


def _check_inside(index: np.ndarray, shape: tuple[int, ...]) -> None:
    slack = 0.5 - 1e-6  # on the outermost face no voxel would be nearest
    if (index < -slack).any() or (index > np.array(shape) - 1 + slack).any():
        raise DataError(
            f"the point lies outside the volume: voxel {np.round(index, 1).tolist()} of "
            f"{list(shape)}; check data.frame and the columns x, y, z",
            OUTSIDE,
        )


def _grid(
    volume: Volume,
    point: np.ndarray | None,
    patch: config.Patch,
    margin: tuple[int, ...] | None,
) -> Grid:
    """Where the patch's voxel centres lie in the volume, whole voxels without spacing."""
    point = volume.centre if point is None else np.asarray(point, dtype=float)
    axes = len(volume.shape)
    size = np.array(patch.size) + 2 * np.array(margin or (0,) * patch.spatial_dims)
    size = np.append(size, 1) if axes > patch.spatial_dims else size
    sizes = tuple(int(n) for n in size)
    inverse = np.linalg.inv(volume.affine)
    index = (inverse[:3, :3] @ point + inverse[:3, 3])[:axes]
    _check_inside(index, volume.shape)
    if patch.spacing is None:
        return Grid(np.eye(axes), start_of(index, size), sizes)
    spacing = _spacing(volume, patch)
    first = point - (size - 1) / 2 * spacing
    return Grid(inverse[:3, :3] * spacing, inverse[:3, :3] @ first + inverse[:3, 3], sizes)


def _spacing(volume: Volume, patch: config.Patch) -> np.ndarray:
    given = np.broadcast_to(np.asarray(patch.spacing, dtype=float), patch.spatial_dims)
    return given if patch.spatial_dims == 3 else np.append(given, volume.spacing.min())


def _read(volume: Volume, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    values = volume.read(tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True)))
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise DataError(f"image: {bad} voxels of the patch are NaN or infinite", NOT_FINITE)
    return values


def _own_voxels(volume: Volume, grid: Grid, low: float) -> np.ndarray:
    start, shape = grid.origin, np.array(volume.shape)
    stop = start + np.array(grid.size)
    first, last = np.clip(start, 0, shape), np.clip(stop, 0, shape)
    inner = _read(volume, first, last)
    around = [(int(a), int(b)) for a, b in zip(first - start, stop - last, strict=True)]
    around += [(0, 0)] * (inner.ndim - len(shape))
    return np.pad(inner, around, constant_values=low)
