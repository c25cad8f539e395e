"""The nodule itself: the readers' mean shape, with density and edge by their ratings."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from capsmed.data.demo.background import Tube, coverage
from capsmed.data.demo.grid import Grid, linear, separable, smooth_field
from capsmed.data.demo.scene import Scene
from capsmed.data.lidc.outlines import Nodule, consensus, reader_masks

MARGIN_MM = 7.0  # room round the outlines for soft edges
SPICULE_MM = (3.0, 8.0)


def paint(volume: np.ndarray, grid: Grid, nodule: Nodule, scene: Scene) -> None:
    """Add a nodule to HU on the grid, in place; denser tissue stays as it is.

    Its consensus centroid comes to lie on the grid's origin.
    """
    depth, local = signed_depth(nodule, grid)
    rng = scene.rng(5)
    depth = depth + _bumps(nodule) * smooth_field(rng, local, 3.5)
    fill = 1 / (1 + np.exp(-np.clip(4 * depth / edge_width(nodule), -30, 30)))
    fill = np.maximum(fill, 0.85 * coverage(local, spicules(nodule, depth, local, rng)))
    value = density(nodule, depth, local, rng)
    start = np.round((np.array(local.low) - grid.low) / grid.step).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(start, local.shape, strict=True))
    volume[box] += fill * np.maximum(value - volume[box], 0)


def signed_depth(nodule: Nodule, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Return mm inside the readers' mean surface (negative outside) on a part of the grid.

    Each reader's mask becomes a signed distance on the annotated scan's grid; distances are
    interpolated linearly and averaged over readers, so slices join to a smooth body; its surface
    is put where it encloses the volume of the consensus (voxels of at least half the readers).
    """
    spacing = np.array([nodule.pixel_spacing, nodule.pixel_spacing, nodule.slice_spacing])
    masks = reader_masks(nodule.contours, nodule.slice_spacing)[:, ::-1, ::-1]
    agreed = np.argwhere(consensus(masks))
    centre, volume = agreed.mean(axis=0), len(agreed) * float(spacing.prod())
    pad = np.ceil(MARGIN_MM / spacing).astype(int)
    masks = np.pad(masks, [(0, 0), *((int(p), int(p)) for p in pad)])
    depth = np.mean([_depth(m, spacing) for m in masks], axis=0)
    axes = [
        s * (np.arange(n) - p - c)
        for s, n, p, c in zip(spacing, depth.shape, pad, centre, strict=True)
    ]
    local = _part(grid, axes)
    maps = [linear(a, local.axis(i)) for i, a in enumerate(axes)]
    fine = separable(depth, maps)
    cells = round(volume / grid.step**3)
    return fine - np.partition(fine, -cells, axis=None)[-cells], local


def edge_width(nodule: Nodule) -> float:
    """Return the width of the edge in mm: 1.6 for margin 1 (poorly defined), 0.3 for 5 (sharp)."""
    return float(np.interp(nodule.ratings["margin"], (1, 5), (1.6, 0.3)))


def density(nodule: Nodule, depth: np.ndarray, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Return the HU of nodule tissue by texture: 1 ground glass, 3 part solid, 5 solid."""
    texture = nodule.ratings["texture"]
    glass, solid = -620 + rng.uniform(-50, 50), 20 + rng.uniform(-15, 25)
    scale = (1, 2, 3, 4, 5)
    shell = np.interp(texture, scale, (glass, glass + 60, glass + 130, -160, solid))
    core = np.interp(texture, scale, (glass + 30, -430, -80, 5, solid))
    inner = 1 / (1 + np.exp(-(depth - 0.4 * depth.max()) / 0.5))
    mottle = np.interp(texture, (1, 5), (35, 8)) * smooth_field(rng, grid, 2.0)
    return shell + inner * (core - shell) + mottle + calcium(nodule, depth, grid, rng)


def calcium(
    nodule: Nodule, depth: np.ndarray, grid: Grid, rng: np.random.Generator
) -> np.ndarray | float:
    """Return the HU that calcification adds; LIDC kinds 1 popcorn ... 5 off-centre, 6 absent."""
    amount, relative = rng.uniform(250, 500), depth / depth.max()
    blobs = smooth_field(rng, grid, 2.2)
    kind = int(nodule.ratings["calcification"])
    if kind == 1:
        return amount * (blobs > 0.4) * (relative > 0.1)
    if kind == 2:
        return amount * (np.abs(relative - 0.55) < 0.15)
    if kind == 3:
        return amount * (relative > 0.1)
    if kind == 4:
        return amount * (relative > 0.5)
    if kind == 5:
        return amount * (blobs > 1.0) * (relative > 0.2)
    return 0.0


def spicules(nodule: Nodule, depth: np.ndarray, grid: Grid, rng: np.random.Generator) -> list[Tube]:
    """Return thin tapering strands from the surface outward, more with a higher rating."""
    number = round(6 * (nodule.ratings["spiculation"] - 1))
    rays = rng.normal(size=(24, 3))
    lengths = rng.uniform(*SPICULE_MM, size=24)
    found = []
    for ray, length in zip(rays[:number], lengths, strict=False):
        ray = ray / np.sqrt(ray @ ray)
        start = ray * _surface(depth, grid, ray)
        found.append(Tube(start, start + ray * length, 0.9, 0.25))
    return found


def _surface(depth: np.ndarray, grid: Grid, ray: np.ndarray) -> float:
    along = np.arange(0, 40, grid.step)
    places = np.round((along[:, None] * ray - grid.low) / grid.step).astype(int)
    places = places[np.all((places >= 0) & (places < grid.shape), axis=1)]
    inside = depth[tuple(places.T)] > 0
    return float(along[: len(inside)][inside].max(initial=0.0))


def _depth(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Signed distance of voxel centres; half a pixel off, as the surface runs between them."""
    if not mask.any():
        return np.full(mask.shape, -MARGIN_MM)
    half = spacing[0] / 2
    inside = distance_transform_edt(mask, sampling=spacing) - half
    outside = distance_transform_edt(~mask, sampling=spacing) - half
    return np.where(mask, inside, -outside)


def _bumps(nodule: Nodule) -> float:
    return float(np.interp(nodule.ratings["lobulation"], (1, 5), (0.1, 0.5)))


def _part(grid: Grid, axes: list[np.ndarray]) -> Grid:
    box = grid.box(np.array([a[0] for a in axes]), np.array([a[-1] for a in axes]))
    low = tuple(float(grid.axis(i)[s.start]) for i, s in enumerate(box))
    return Grid(low, grid.step, tuple(s.stop - s.start for s in box))
