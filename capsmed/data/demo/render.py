"""From a scene and, perhaps, a nodule to a block of CT voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from capsmed.data.demo.background import background
from capsmed.data.demo.grid import Grid, sampling, separable
from capsmed.data.demo.lesion import paint
from capsmed.data.demo.scene import Scene
from capsmed.data.lidc.outlines import Nodule

FINE_MM = 0.6
BORDER_MM = 2.0
THINNEST_MM = 1.0  # detectors are no finer, however close the slices are reconstructed


@dataclass(frozen=True)
class Block:
    """A rendered scan: int16 HU [x, y, z], axes to the right, front and top of the patient.

    ``affine`` maps (x, y, z) indices to RAS+ mm; ``point`` is the nodule's centre, RAS+ mm.
    """

    hu: np.ndarray
    affine: np.ndarray
    point: tuple[float, float, float]


def render(scene: Scene, nodule: Nodule | None) -> Block:
    """Return the scan of a scene with the nodule in it, or with lung only for None.

    Painted on a fine isotropic grid, seen through the scanner's point spread and slice profile
    (partial volume), then given correlated noise. No label can reach this function: ``Nodule``
    holds none.
    """
    low = np.array(scene.low) - BORDER_MM
    grid = Grid.around(low, np.array(scene.high) + BORDER_MM, FINE_MM)
    volume = background(grid, scene)
    if nodule is not None:
        paint(volume, grid, nodule, scene)
    spacing, axes = _voxels(scene)
    widths = (spacing[0], spacing[1], max(spacing[2], THINNEST_MM))
    blurs = (scene.blur, scene.blur, 0.3)
    maps = [sampling(grid.axis(i), axes[i], widths[i], blurs[i]) for i in range(3)]
    hu = separable(volume, maps)
    hu += scene.noise * grain(scene, hu.shape)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = np.round([a[0] for a in axes] + np.array(scene.position), 3)
    hu = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    return Block(hu, affine, scene.position)


def grain(scene: Scene, shape: tuple[int, ...]) -> np.ndarray:
    """Return unit-variance noise with the short correlation of a reconstruction kernel.

    Filtered back projection passes few low frequencies: a wider blur is taken away again.
    """
    white = scene.rng(6).standard_normal(shape)
    sigma = scene.grain / scene.pixel_spacing
    fine = gaussian_filter(white, (sigma, sigma, 0.4), truncate=3)
    coarse = gaussian_filter(fine, (1.6 * sigma, 1.6 * sigma, 0), truncate=3)
    noise = fine - 0.7 * coarse
    return noise / np.sqrt(np.mean(noise**2))


def _voxels(scene: Scene) -> tuple[np.ndarray, list[np.ndarray]]:
    spacing = np.array([scene.pixel_spacing, scene.pixel_spacing, scene.slice_spacing])
    low, high = np.array(scene.low), np.array(scene.high)
    counts = np.floor((high - low) / spacing).astype(int)
    return spacing, [np.round(low[i], 3) + spacing[i] * np.arange(counts[i]) for i in range(3)]
