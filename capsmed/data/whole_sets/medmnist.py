"""The MedMNIST layout: one .npz with train, val and test images and labels."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from capsmed.data.whole_sets.whole_set import PARTS, WholeSet, names, range_of
from capsmed.errors import DataError


def read(source: Path) -> WholeSet:
    """Read ``{train,val,test}_images`` and ``_labels``; labels are [n, 1] or [n].

    Raises:
        DataError: damaged, arrays missing (those found are named), or sizes that do not agree.
    """
    arrays = _arrays(source)
    images, labels, parts, case_ids = [], [], [], []
    for part in PARTS:
        pictures, classes = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        classes = classes[:, 0] if classes.ndim == 2 and classes.shape[1] == 1 else classes
        _check(source, part, pictures, classes, arrays["train_images"])
        images.append(pictures)
        labels += [str(label) for label in classes]
        parts += [part] * len(classes)
        case_ids += names(part, len(classes))
    joined = np.concatenate(images)
    return WholeSet(joined, labels, parts, case_ids, range_of(joined))


def _arrays(source: Path) -> dict[str, np.ndarray]:
    wanted = [f"{part}_{what}" for part in PARTS for what in ("images", "labels")]
    try:
        with open(source, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = list(file.files)
            missing = [name for name in wanted if name not in found]
            if missing:
                raise DataError(
                    f"{source}: expected the arrays {', '.join(wanted)}, got "
                    f"{', '.join(found) or 'none'}; missing: {', '.join(missing)}"
                )
            for name in wanted:
                _check_size(file.zip, f"{name}.npy")
            return {name: file[name] for name in wanted}
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{source}: cannot be read as .npz (truncated or not one); fetch it again"
        ) from error


def _check_size(archive: zipfile.ZipFile, name: str) -> None:
    """Refuse an array that declares another size than its member has: NumPy would allocate it.

    Raises:
        ValueError: it does, or it is a pickle or no array at all.
    """
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        first = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        held = archive.getinfo(name).file_size - member.tell()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != held:
        raise ValueError(f"{name} declares {list(shape)} of {dtype}, but holds {held} bytes")


def _check(
    source: Path, part: str, images: np.ndarray, labels: np.ndarray, first: np.ndarray
) -> None:
    if labels.ndim != 1:
        raise DataError(
            f"{source} {part}_labels: expected one label a case, got shape {list(labels.shape)}; "
            "sets with several labels a case are not supported"
        )
    if len(images) != len(labels):
        raise DataError(f"{source} {part}: got {len(images)} images but {len(labels)} labels")
    if images.ndim not in (3, 4) or images.shape[1:] != first.shape[1:]:
        raise DataError(
            f"{source} {part}_images: expected [n, ...] with 2 or 3 axes a case, all parts "
            f"alike, got shape {list(images.shape)}"
        )
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise DataError(f"{source} {part}_images: expected numbers, got NaN or infinite values")
