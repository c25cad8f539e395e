"""The IDX layout of MNIST: a folder of four files, gzipped or not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from capsmed.data.whole_sets.whole_set import WholeSet, names, range_of
from capsmed.errors import DataError

_UNSIGNED_BYTES = 0x08
VAL_IMAGES = 10_000


def read(source: Path) -> WholeSet:
    """Read the four files; the last 10,000 training images are the part 'val'.

    A set with 20,000 training images or fewer gives its last sixth instead.

    Raises:
        DataError: a file is missing, truncated or not IDX, or counts do not agree.
    """
    images, labels = [], []
    for stem in ("train", "t10k"):
        pictures = _read_idx(_find(source, f"{stem}-images", 3), axes=3)
        classes = _read_idx(_find(source, f"{stem}-labels", 1), axes=1)
        if len(pictures) != len(classes):
            raise DataError(
                f"{source} {stem}: got {len(pictures)} images but {len(classes)} labels"
            )
        images.append(pictures)
        labels.append(classes)
    n_train, n_test = len(labels[0]), len(labels[1])
    n_val = VAL_IMAGES if n_train > 2 * VAL_IMAGES else n_train // 6
    if images[0].shape[1:] != images[1].shape[1:]:
        raise DataError(f"{source}: training and test images differ in size")
    joined = np.concatenate(images)
    return WholeSet(
        joined,
        [str(label) for label in np.concatenate(labels)],
        ["train"] * (n_train - n_val) + ["val"] * n_val + ["test"] * n_test,
        names("train", n_train) + names("test", n_test),
        range_of(joined),
    )


def _find(folder: Path, stem: str, axes: int) -> Path:
    for separator in ("-", "."):
        for ending in ("", ".gz"):
            path = folder / f"{stem}{separator}idx{axes}-ubyte{ending}"
            if path.is_file():
                return path
    found = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
    raise DataError(
        f"{folder}: expected {stem}-idx{axes}-ubyte or .gz, found {found}; "
        "MNIST is fetched by: capsmed data get mnist"
    )


def _read_idx(path: Path, axes: int) -> np.ndarray:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked (truncated?); fetch it again") from error
    header = 4 + 4 * axes
    if len(raw) < header or raw[:4] != bytes((0, 0, _UNSIGNED_BYTES, axes)):
        raise DataError(f"{path}: expected an IDX file of bytes with {axes} axes, got another")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", count=axes, offset=4))
    expected = header + int(np.prod(shape))
    if len(raw) != expected:
        raise DataError(
            f"{path}: expected {expected} bytes for {list(shape)}, got {len(raw)}; fetch it again"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
