"""Features of a lesion that need no training: its intensities and its shape.

The lesion is found by a threshold, so that no outline is needed; see `lesion`. First-order and
shape features follow the Image Biomarker Standardisation Initiative (Zwanenburg et al. 2020,
Radiology 295:328). Texture matrices are left out: on patches of small lesions they mostly count
voxels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import ndimage, stats
from skimage import measure

from capsmed.data.patches import PatchSet
from capsmed.data.progress import Progress, shown

_NEAR = 2  # voxels around the middle that tell the lesion's brightness
_FILLED = 0.5  # share of a shell around the middle below which the lesion has ended
_BINS = 32


def radiomics(patches: PatchSet, progress: Progress | bool | None = None) -> pd.DataFrame:
    """Features of every patch, the lesion in its middle; a row a case, ``case_id`` first.

    Intensities are those of the patch, 0 to 1; lengths are mm where the patch has a spacing, else
    voxels.

    Args:
        patches: of one channel, or of several whose mean is taken.
        progress: called with (cases done, cases in all); True shows a bar on the terminal.
    """
    view, rows = patches.view(np.arange(len(patches)), augment=False, seed_key=()), []
    with shown(progress, "measuring lesions") as step:
        for number, case in enumerate(patches.case_ids):
            image = view[number]["image"].numpy().mean(0)
            rows.append({"case_id": case, **describe(image, patches.spacing)})
            step(number + 1, len(patches))
    return pd.DataFrame(rows)


def describe(image: np.ndarray, spacing: Sequence[float]) -> dict[str, float]:
    """Features of the lesion in the middle of ``image`` ([x, y] or [x, y, z]), by name."""
    inside = lesion(image)
    return {**_first_order(image, inside), **_shape(inside, tuple(spacing))}


def lesion(image: np.ndarray) -> np.ndarray:
    """Voxels of the bright lesion in the middle of a patch, bool, shaped as ``image``, never empty.

    Those above half-way between the brightness of the middle and the median of what is darker (full
    width at half maximum), connected with the middle, up to the radius at which less than half of a
    shell around it is so bright: a vessel or the chest wall that touches the lesion stays outside,
    and a long lesion is cut short.

    Against a reader's outlines of 79 LIDC-IDRI nodules, at 1, 1.5 and 2 mm: median Dice 0.42, 0.68
    and 0.67, correlation of the logarithms of size and diameter 0.84, 0.82 and 0.78; without the
    radius 0.38, 0.21, 0.18 and 0.33, 0.19, 0.01; with Otsu's threshold and the radius 0.31, 0.55,
    0.52 and 0.77, 0.76, 0.64.
    """
    smooth = ndimage.gaussian_filter(image.astype(float), 0.7)
    centre = tuple(n // 2 for n in image.shape)
    core = np.zeros(image.shape, bool)
    core[tuple(slice(max(c - _NEAR, 0), c + _NEAR + 1) for c in centre)] = True
    bright = float(np.quantile(smooth[core], 0.75))
    darker = smooth[smooth < bright]
    if not darker.size:
        return core
    parts = measure.label(smooth >= (bright + float(np.median(darker))) / 2, connectivity=1)
    inside = parts == np.bincount(parts[core & (parts > 0)]).argmax()
    away = np.sqrt(sum((g - c) ** 2 for g, c in zip(np.indices(image.shape), centre, strict=True)))
    found = inside & (away <= _radius(inside, away) + 0.5)
    return found if found.any() else core  # all that is bright lies beside the middle


def _radius(inside: np.ndarray, away: np.ndarray) -> float:
    """Distance in voxels of the last shell around the middle that the lesion fills by half."""
    most = min(inside.shape) // 2
    for radius in np.arange(1, most, 0.5):
        if inside[abs(away - radius) <= 0.5].mean() < _FILLED:
            return float(radius)
    return float(most)


def _first_order(image: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    values = image[inside].astype(float)
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    spread = float(values.std())
    shares = np.histogram(values, _BINS, (0, 1))[0] / values.size
    around = ndimage.binary_dilation(inside, iterations=2) & ~inside
    edge = np.sqrt(sum(g**2 for g in np.gradient(image.astype(float))))
    rim = inside & ~ndimage.binary_erosion(inside)
    return {
        "mean": float(values.mean()),
        "deviation": spread,
        "skewness": float(stats.skew(values)) if spread > 1e-9 else 0.0,
        "kurtosis": float(stats.kurtosis(values)) if spread > 1e-9 else 0.0,
        "percentile_10": float(low),
        "median": float(middle),
        "percentile_90": float(high),
        "entropy": float(stats.entropy(shares[shares > 0], base=2)),
        "contrast": float(values.mean() - image[around].mean()) if around.any() else 0.0,
        "edge": float(edge[rim].mean()) if rim.any() else 0.0,
    }


def _shape(inside: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    size = float(inside.sum()) * float(np.prod(spacing))
    places = np.argwhere(inside) * np.array(spacing)
    # a voxel is a cube, not a point: its own variance keeps a single one from being flat
    spread = np.atleast_2d(np.cov(places.T, bias=True)) + np.diag(np.square(spacing) / 12)
    axes = np.sqrt(np.linalg.eigvalsh(spread))[::-1]
    box = np.prod(np.ptp(np.argwhere(inside), axis=0) + 1)
    return {
        "log_size": float(np.log(size)),
        "roundness": _roundness(inside, size, spacing),
        "elongation": float(axes[1] / axes[0]),
        "flatness": float(axes[-1] / axes[0]),
        "extent": float(inside.sum() / box),
    }


def _roundness(inside: np.ndarray, size: float, spacing: tuple[float, ...]) -> float:
    """Surface of a ball (edge of a disc) of that size over the lesion's own; near 1 when round."""
    padded = np.pad(inside, 1).astype(float)
    if inside.ndim == 2:
        lines = measure.find_contours(padded, 0.5)
        steps = [np.diff(line, axis=0) * spacing for line in lines]
        edge = sum(float(np.linalg.norm(step, axis=1).sum()) for step in steps)
        return float(2 * np.sqrt(np.pi * size) / edge)
    corners, faces, _, _ = measure.marching_cubes(padded, 0.5, spacing=spacing)
    surface = measure.mesh_surface_area(corners, faces)
    return float(np.pi ** (1 / 3) * (6 * size) ** (2 / 3) / surface)
