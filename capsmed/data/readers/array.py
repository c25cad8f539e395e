"""NumPy files: a picture [row, column(, 3)] or a volume [x, y, z], no millimetres."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tokenize import TokenError

import numpy as np

from capsmed.data.volume import Volume, from_array, type_range
from capsmed.errors import DataError


def open_volume(path: Path) -> Volume:
    """Open a .npy file of numbers, read from disk box by box; pickled objects are refused.

    Raises:
        DataError: the file is damaged, holds objects, or has not two or three axes.
    """
    try:
        values = np.lib.format.open_memmap(path, mode="r")
        if values.dtype.kind not in "biuf":
            raise ValueError(f"expected numbers, got {values.dtype}")
        known = type_range(values.dtype.newbyteorder("="))
        return replace(from_array(values, known, "numpy"), files=(path,))
    except (EOFError, OSError, OverflowError, SyntaxError, TokenError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a NumPy array ({error})") from error
