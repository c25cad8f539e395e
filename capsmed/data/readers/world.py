"""What readers of headers share: affines that can be trusted, and volumes over stored voxels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from capsmed.data.readers.stored import Block
from capsmed.data.volume import Box, Finding, Volume, type_range
from capsmed.errors import DataError

LPS = (-1.0, -1.0, 1.0)
_SHORTEST_MM, _LONGEST_MM = 1e-3, 1e3
_FLATTEST = 1e-3  # volume of a voxel over the product of its edges


@np.errstate(over="ignore", invalid="ignore")
def to_ras(
    steps: np.ndarray, origin: np.ndarray, signs: tuple[float, ...], where: Path
) -> np.ndarray:
    """The affine of steps and an origin given along other patient axes.

    Args:
        steps: one column an index axis [3, 3], mm.
        origin: centre of the first voxel [3], mm.
        signs: that turn the file's axes into RAS+, for example ``LPS``.
        where: the file, for messages.

    Returns:
        4x4, index to RAS+ mm.

    Raises:
        DataError: as ``checked``.
    """
    affine = np.eye(4)
    affine[:3, :3] = np.diag(signs) @ steps
    affine[:3, 3] = np.array(signs) * origin
    return checked(affine, where)


@np.errstate(over="ignore", invalid="ignore")
def checked(affine: np.ndarray, where: Path) -> np.ndarray:
    """The affine as float64, when it can place voxels.

    Raises:
        DataError: a number is NaN or infinite, a step is not between 0.001 and 1000 mm, or the
            steps lie in one plane.
    """
    affine = np.asarray(affine, dtype=np.float64)
    if not np.isfinite(affine).all():
        raise DataError(f"{where}: its geometry holds NaN or infinite numbers; mend the header")
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    if steps.min() < _SHORTEST_MM or steps.max() > _LONGEST_MM:
        raise DataError(
            f"{where}: expected steps of {_SHORTEST_MM:g} to {_LONGEST_MM:g} mm from voxel to "
            f"voxel, got {np.round(steps, 6).tolist()}; mend the header"
        )
    if abs(np.linalg.det(affine[:3, :3] / steps)) < _FLATTEST:
        raise DataError(f"{where}: its affine cannot be inverted; mend the header")
    return affine


def volume(
    block: Block,
    affine: np.ndarray | None,
    form: str,
    *,
    files: Sequence[Path] = (),
    findings: Sequence[Finding] = (),
    scale: tuple[float, float] = (1.0, 0.0),
    axes: tuple[int, ...] = (0, 1, 2),
    layer: int = 0,
) -> Volume:
    """A Volume over stored voxels.

    Args:
        block: the voxels.
        affine: index to RAS+ mm; None where the file knows no millimetres.
        form: ``meta['format']``.
        files: default: the block's own.
        findings: what is odd.
        scale: slope and intercept from stored to real values.
        axes: the block's axes that are x, y, z.
        layer: index along every other axis.
    """
    slope, intercept = scale
    plain = (slope, intercept) == (1.0, 0.0)
    others = tuple(axis for axis in range(len(block.shape)) if axis not in axes)

    def read(box: Box | None) -> np.ndarray:
        wanted = [slice(layer, layer + 1)] * len(block.shape)
        for axis, part in zip(axes, box or (slice(None),) * 3, strict=True):
            wanted[axis] = part
        values = block.read(tuple(wanted)).squeeze(others)
        with np.errstate(over="ignore", invalid="ignore"):
            real = values if plain else values * np.float64(slope) + intercept
            return real.astype(np.float32)

    return Volume(
        tuple(block.shape[axis] for axis in axes),
        np.eye(4) if affine is None else affine,
        {"format": form},
        read,
        type_range(block.dtype.newbyteorder("=")) if plain else None,
        has_mm=affine is not None,
        files=tuple(files) or (block.file,),
        findings=tuple(findings),
    )


def beside(header: Path, name: str) -> Path:
    """The data file that a header names, in the header's own folder.

    Raises:
        DataError: the name leads elsewhere, or stands for several files.
    """
    plain = name.removeprefix("./")
    if not plain or plain in (".", "..") or set(plain) & set('/\\:"'):
        raise DataError(
            f"{header}: expected a data file in the header's own folder, got '{name}'; "
            "move it there and mend the header"
        )
    if plain.split()[0].upper() == "LIST" or "%" in plain:
        raise DataError(
            f"{header}: expected one data file, got the list or pattern '{name}'; "
            "write the image as one file"
        )
    return header.parent / plain
