"""How a case is scanned and what surrounds its nodule: chance by case number, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SEED = 20111  # fixed once; every random number of the cohort comes from it and a case number
SLICE_SPACINGS = (0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 2.5, 3.0)
NIFTI_AXES = ("RAS", "LPS", "LAS")
_FACTORS = (
    "format",
    "stored",
    "pixel",
    "slice",
    "psf",
    "noise",
    "grain",
    "wall",
    "distance",
    "width",
    "height",
    "left",
    "front",
    "up",
)


@dataclass(frozen=True)
class Scene:
    """The scan of one case. Lengths in mm, frame RAS+ with the nodule's point as origin.

    Attributes:
        index: number of the case.
        format: ``dicom`` or ``nifti``.
        stored: the NIfTI's axes; for DICOM the number written first, ``head`` or ``feet``.
        pixel_spacing: in-plane voxel size.
        slice_spacing: distance of slices.
        blur: standard deviation of the scanner's point spread in plane.
        noise: standard deviation in HU.
        grain: correlation length of the noise in plane (reconstruction kernel).
        wall: distance of the pleura from the point, or None when it is out of the block.
        low, high: corners of the block.
        position: where the point lies in the patient, RAS+.
    """

    index: int
    format: str
    stored: str
    pixel_spacing: float
    slice_spacing: float
    blur: float
    noise: float
    grain: float
    wall: float | None
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    position: tuple[float, float, float]

    def rng(self, stream: int) -> np.random.Generator:
        """Return the generator of one purpose; streams do not disturb each other."""
        return np.random.default_rng([SEED, self.index, stream])


def scene(index: int, total: int) -> Scene:
    """Return the scene of case ``index`` of ``total``.

    Each factor is spread evenly over the cohort (a Latin hypercube: one permutation of the case
    numbers per factor), so format, spacing, noise and background are balanced, and nothing about
    the nodule enters.
    """
    level = {name: levels[index] for name, levels in _levels(total).items()}
    format_ = "dicom" if level["format"] < 0.5 else "nifti"
    choices = ("head", "feet") if format_ == "dicom" else NIFTI_AXES
    low, high = _box(level)
    rng = np.random.default_rng([SEED, index, 0])
    return Scene(
        index=index,
        format=format_,
        stored=choices[int(level["stored"] * len(choices))],
        pixel_spacing=round(0.5 + 0.4 * level["pixel"], 4),
        slice_spacing=SLICE_SPACINGS[int(level["slice"] * len(SLICE_SPACINGS))],
        blur=round(0.35 + 0.3 * level["psf"], 3),
        noise=round(12 + 28 * level["noise"], 1),
        grain=round(0.35 + 0.4 * level["grain"], 3),
        wall=round(9 + 20 * level["distance"], 2) if level["wall"] < 0.5 else None,
        low=low,
        high=high,
        position=tuple(np.round(rng.uniform((-90, -60, -250), (90, 60, -60)), 1).tolist()),
    )


@lru_cache(maxsize=2)
def _levels(total: int) -> dict[str, np.ndarray]:
    found = {}
    for number, name in enumerate(_FACTORS):
        rng = np.random.default_rng([SEED, total, 1000 + number])
        found[name] = (rng.permutation(total) + rng.random(total)) / total
    return found


def _box(level: dict[str, np.ndarray]) -> tuple[tuple, tuple]:
    width, height = 69 + 8 * level["width"], 66 + 6 * level["height"]
    centre = np.array([level["left"], level["front"], level["up"]]) * 8 - 4
    half = np.array([width, width, height]) / 2
    return tuple((centre - half).tolist()), tuple((centre + half).tolist())
