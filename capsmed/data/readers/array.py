"""NumPy files: a picture [row, column(, 3)] or a volume [x, y, z], no millimetres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from capsmed.data.volume import Volume, from_array, type_range
from capsmed.errors import DataError


def open_volume(path: Path) -> Volume:
    """Open a .npy file of numbers; pickled objects are refused.

    Raises:
        DataError: the file is damaged, holds objects, or has not two or three axes.
    """
    try:
        values = np.load(path, allow_pickle=False)
        if values.dtype.kind not in "biuf":
            raise ValueError(f"expected numbers, got {values.dtype}")
        return from_array(values, type_range(values.dtype), "numpy")
    except (EOFError, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a NumPy array ({error})") from error
