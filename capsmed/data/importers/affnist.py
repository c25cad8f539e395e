"""affNIST, generated from MNIST: digits placed in 40 x 40, the test digits affinely transformed.

Not the official file: its published ranges (https://www.cs.toronto.edu/~tijmen/affNIST) are drawn
anew, each uniformly, once for each test digit, where the official set has 32 of each.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from capsmed.data.importers import stack
from capsmed.data.importers.contract import Imported, Options, Progress
from capsmed.data.whole_sets import idx
from capsmed.errors import DataError

SIZE = 40
ROTATION_DEGREES = 20.0
SHEAR = 0.2
SCALE = (0.8, 1.2)
TRANSLATION_PIXELS = 8.0
_STEP = 500


def read(source: Path, out: Path, options: Options, progress: Progress | None) -> Imported:
    """Import the folder of MNIST's IDX files ``source``.

    Training and validation digits are moved by whole pixels to a random place that holds them
    whole; test digits are transformed by `transforms`. ``options.seed`` (default 0) draws both.

    Raises:
        DataError: a file is missing or damaged, the digits are larger than 40 x 40, or ``out``
            is in use.
    """
    found = idx.read(source)
    if max(found.images.shape[1:]) > SIZE:
        raise DataError(
            f"{source}: expected digits of at most {SIZE} x {SIZE} pixels, got "
            f"{' x '.join(map(str, found.images.shape[1:]))}"
        )
    seed = options.seed or 0
    test = np.array(found.parts) == "test"
    images = np.zeros((len(test), SIZE, SIZE), np.uint8)
    images[~test] = placed(found.images[~test], np.random.default_rng([seed, 0]))
    matrices, shifts = transforms(int(test.sum()), np.random.default_rng([seed, 1]))
    images[test] = transformed(found.images[test], matrices, shifts, progress)
    return Imported(
        table=stack.write(replace(found, images=images), out),
        rows=len(test),
        notes=(
            "generated from MNIST by affNIST's published ranges; this is not the official file",
            stack.UNKNOWN_PATIENTS,
        ),
        settings={"patch.size": f"[{SIZE}, {SIZE}]"},
        config="mnist_fast",
    )


def placed(digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each digit [n, row, column] uncut, at a random place of an empty [n, 40, 40]."""
    count, rows, columns = digits.shape
    tops = rng.integers(0, SIZE - rows + 1, count)
    lefts = rng.integers(0, SIZE - columns + 1, count)
    images = np.zeros((count, SIZE, SIZE), np.uint8)
    for image, digit, top, left in zip(images, digits, tops, lefts, strict=True):
        image[top : top + rows, left : left + columns] = digit
    return images


def transforms(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw affine maps of (row, column) about the digit's middle, and their translations.

    A map is rotation * scale * shear: ``R(a) diag(s_row, s_column) [[1, 0], [h, 1]]``, with the
    rotation in [-20, 20] degrees, the shear of columns by rows in [-0.2, 0.2], each axis' scale in
    [0.8, 1.2], and each axis' translation in [-8, 8] pixels.

    Returns:
        Matrices [n, 2, 2] from the digit to its image, and translations [n, 2] in pixels.
    """
    angle = np.deg2rad(rng.uniform(-ROTATION_DEGREES, ROTATION_DEGREES, count))
    shear = np.zeros((count, 2, 2)) + np.eye(2)
    shear[:, 1, 0] = rng.uniform(-SHEAR, SHEAR, count)
    scale = rng.uniform(*SCALE, (count, 2))[:, :, None] * np.eye(2)
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], 1)
    shifts = rng.uniform(-TRANSLATION_PIXELS, TRANSLATION_PIXELS, (count, 2))
    return rotation @ scale @ shear, shifts


def transformed(
    digits: np.ndarray,
    matrices: np.ndarray,
    shifts: np.ndarray,
    progress: Progress | None = None,
) -> np.ndarray:
    """Map each digit [n, row, column] into [n, 40, 40], interpolating linearly once.

    A digit's middle lands on the image's middle plus its translation; what leaves the image is
    cut off.
    """
    images = np.zeros((len(digits), SIZE, SIZE), np.uint8)
    middle, centre = (np.array(digits.shape[1:]) - 1) / 2, (SIZE - 1) / 2
    inverses = np.linalg.inv(matrices)
    for number, (digit, inverse, shift) in enumerate(zip(digits, inverses, shifts, strict=True)):
        offset = middle - inverse @ (centre + shift)
        values = ndimage.affine_transform(
            digit.astype(np.float32), inverse, offset, (SIZE, SIZE), order=1
        )
        images[number] = np.clip(np.rint(values), 0, 255)
        if progress is not None and number % _STEP == 0:
            progress(number, len(digits))
    return images
