"""Every format that capsmed reads, inside any MONAI pipeline: ``LoadImaged(reader=ScanReader)``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data.image_reader import ImageReader
from monai.utils.enums import MetaKeys, SpaceKeys

from capsmed import config
from capsmed.data import readers
from capsmed.data.volume import Volume
from capsmed.errors import DataError


class ScanReader(ImageReader):
    """A MONAI reader with capsmed's checks and geometry.

    Images come as float32 [x, y, z] (DICOM: HU, each slice with its own rescale) with an affine to
    RAS+ mm, MONAI's convention. The metadata also hold the volume's own: patient, study and
    series, manufacturer, kernel, and ``findings``, the names of the checks that were warned of.
    Several files are stacked as channels and must share shape and affine.

    Args:
        checks: policies by check, as under ``data.checks`` of a config.
        series: the SeriesInstanceUID to take, of a folder that holds several.
    """

    def __init__(self, checks: dict[str, str] | None = None, series: str = "") -> None:
        super().__init__()
        self._checks = config.Checks(**(checks or {}))
        self._series = series

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether every path is a folder, or a file of a format that capsmed reads."""
        return all(readers.is_known(path) for path in _paths(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[Path]:
        """The paths; they are opened by ``get_data``.

        When a reader's ``read`` raises, MONAI's LoadImage takes the next reader it knows, so that
        what fails a check here would come back wrong from there.
        """
        return _paths(data)

    def get_data(self, img: Sequence[Path]) -> tuple[np.ndarray, dict]:
        """The voxels and MONAI's metadata.

        Raises:
            CheckFailed: a check fails whose policy is not 'warn'.
            DataError: a file is missing, damaged or of no known format, or several differ in
                shape or affine.
        """
        volumes = [readers.open_volume(path, self._checks, self._series) for path in img]
        return self._stacked(volumes)

    def _stacked(self, volumes: Sequence[Volume]) -> tuple[np.ndarray, dict]:
        first = volumes[0]
        for other in volumes[1:]:
            if other.shape != first.shape or not np.allclose(other.affine, first.affine, atol=1e-3):
                raise DataError(
                    f"{other.files}: expected the shape and affine of the first image, "
                    f"{first.shape}, got {other.shape}; resample it first"
                )
        values = [np.ascontiguousarray(volume.read(None)) for volume in volumes]
        channel: float = -1 if values[0].ndim > len(first.shape) else float("nan")
        meta = {
            **first.meta,
            "findings": "; ".join(finding.check for finding in first.findings),
            MetaKeys.AFFINE: first.affine.copy(),
            MetaKeys.ORIGINAL_AFFINE: first.affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.array(first.shape),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.ORIGINAL_CHANNEL_DIM: 0 if len(values) > 1 else channel,
        }
        return (np.stack(values) if len(values) > 1 else values[0]), meta


def _paths(given: Sequence[PathLike] | PathLike) -> list[Path]:
    several = isinstance(given, Sequence) and not isinstance(given, str)
    return [Path(str(path)) for path in (given if several else [given])]  # type: ignore[union-attr]
