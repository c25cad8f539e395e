"""Small pictures of a case: three cuts through the point, with where box and mask lie on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from capsmed.data.survey.region import Region

#: Pixels along each side of a cut.
SIDE = 150
#: HU shown black and white: width 1500, level -600, the usual lung window.
LUNG_WINDOW = (-1350.0, 150.0)
#: Greys of the stripes that lie beyond the image, of 0 to 255; their width in pixels.
BEYOND, STRIPE = (15, 45), 3

Contains = Callable[[np.ndarray], np.ndarray]

#: Column and row direction of each cut in RAS+: patient's right on the left, seen from the feet;
#: front up or on the left, head up.
PLANES = {
    "axial": ((-1, 0, 0), (0, -1, 0)),
    "coronal": ((-1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, -1, 0), (0, 0, -1)),
}
#: Arrays without millimetres have no front: their axes are shown as they are.
INDEX_PLANES = {
    "x, y": ((1, 0, 0), (0, 1, 0)),
    "x, z": ((1, 0, 0), (0, 0, 1)),
    "y, z": ((0, 1, 0), (0, 0, 1)),
}


@dataclass(frozen=True)
class Cut:
    """One plane.

    Attributes:
        name: 'axial', 'coronal', 'sagittal', an index plane, or '' of a picture.
        pixels: uint8 [rows, columns] or [rows, columns, 3].
        inside: bool [rows, columns], inside the lesion's mask; None without a mask.
        point: column and row of the point, in pixels from the left and upper edge.
        box: left, top, width, height of the crop box in pixels.
    """

    name: str
    pixels: np.ndarray
    inside: np.ndarray | None
    point: tuple[float, float]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Cuts:
    """All cuts of a case.

    Attributes:
        planes: three, or one of a picture.
        step: mm (pixels of the image, where millimetres are unknown) between pixels of a cut.
        has_mm: whether ``step`` is in mm.
        window: values shown black and white.
    """

    planes: tuple[Cut, ...]
    step: float
    has_mm: bool
    window: tuple[float, float]


def three(
    region: Region,
    point: np.ndarray,
    box: np.ndarray,
    width: float,
    has_mm: bool,
    window: tuple[float, float],
    contains: Contains | None,
) -> Cuts:
    """Three orthogonal cuts of ``width`` mm through the point.

    Args:
        region: voxels around the point.
        point: RAS+ mm [3].
        box: lengths of the crop box along the patient's axes, mm [3].
        width: of the cuts, mm.
        has_mm: whether these are millimetres; else indices.
        window: values shown black and white.
        contains: the mask's test of places [..., 3]; None without a mask.
    """
    step = width / SIDE
    steps = (np.arange(SIDE) - (SIDE - 1) / 2) * step
    planes = []
    for name, (across, down) in (PLANES if has_mm else INDEX_PLANES).items():
        places = (
            point + steps[None, :, None] * np.array(across) + steps[:, None, None] * np.array(down)
        )
        size = np.array([np.abs(across) @ box, np.abs(down) @ box]) / step
        planes.append(
            Cut(
                name,
                grey(region.sample(places), window),
                None if contains is None else np.asarray(contains(places), dtype=bool),
                (SIDE / 2, SIDE / 2),
                _centred((SIDE / 2, SIDE / 2), size),
            )
        )
    return Cuts(tuple(planes), step, has_mm, window)


def picture(
    values: np.ndarray, point: np.ndarray, box: np.ndarray, window: tuple[float, float]
) -> Cuts:
    """The whole picture, coarser when it is large.

    Args:
        values: [x, y] or [x, y, 3].
        point: column, row.
        box: columns, rows of the crop box.
        window: values shown black and white.
    """
    coarse = max(1, -(-max(values.shape[:2]) // (2 * SIDE)))
    shown = np.swapaxes(values[::coarse, ::coarse], 0, 1)
    middle = ((point[0] + 0.5) / coarse, (point[1] + 0.5) / coarse)
    cut = Cut("", grey(shown, window), None, middle, _centred(middle, np.asarray(box) / coarse))
    return Cuts((cut,), float(coarse), False, window)


def grey(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Values as 64 steps of grey, uint8; NaN becomes stripes, which no image looks like.

    64 steps are more than a contact sheet shows, and their PNG is half the size.
    """
    scaled = np.clip((values - window[0]) / (window[1] - window[0]), 0, 1)
    steps = np.round(np.nan_to_num(scaled) * 63) * (255 / 63)
    rows, columns = np.indices(values.shape[:2])
    stripes = np.array(BEYOND)[(rows + columns) // STRIPE % 2]
    stripes = stripes if values.ndim == 2 else stripes[..., None]
    return np.where(np.isnan(values), stripes, steps).astype(np.uint8)


def natural_window(
    values: np.ndarray, known: tuple[float, float] | None, has_mm: bool
) -> tuple[float, float]:
    """The lung window for CT numbers that show air, else what the pixel type or values span."""
    finite = values[np.isfinite(values)]
    if known is not None and known[1] <= 255:
        return known
    if has_mm and finite.size and finite.min() < -200:
        return LUNG_WINDOW
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.0, 1.0)
    return float(low), float(max(high, low + 1e-6))


def _centred(middle: tuple[float, float], size: np.ndarray) -> tuple[float, float, float, float]:
    return (
        float(middle[0] - size[0] / 2),
        float(middle[1] - size[1] / 2),
        float(size[0]),
        float(size[1]),
    )
