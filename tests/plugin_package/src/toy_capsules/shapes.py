"""Generated pictures of two classes."""

from __future__ import annotations

import numpy as np

from capsmed.data.whole_sets import WholeSet

CASES, SIZE = 48, 24


def discs_and_rings() -> WholeSet:
    """Noisy discs and rings of 24x24 pixels, 48 in all, always the same ones."""
    rng = np.random.default_rng(0)
    labels = ["ring" if number % 2 else "disc" for number in range(CASES)]
    images = np.stack([_picture(label, rng) for label in labels])
    names = [f"{label}-{number:02}" for number, label in enumerate(labels)]
    return WholeSet(images, labels, [], names, (0.0, 255.0))


def _picture(label: str, rng: np.random.Generator) -> np.ndarray:
    row, column = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    distance = np.hypot(row - rng.normal(0, 1.5), column - rng.normal(0, 1.5))
    shape = (distance < 8) & ((distance > 4) | (label == "disc"))
    return np.clip(160 * shape + rng.normal(40, 20, shape.shape), 0, 255).astype(np.uint8)
