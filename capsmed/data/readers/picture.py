"""PNG and JPEG pictures through Pillow: grey or colour, no millimetres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from capsmed.data.volume import Volume, from_array, type_range
from capsmed.errors import DataError

_PLAIN = {"1": "L", "LA": "L", "P": "RGB", "RGBA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}


def open_volume(path: Path) -> Volume:
    """Open a picture: 8- or 16-bit grey, or RGB (an alpha channel is dropped).

    Raises:
        DataError: the file cannot be decoded.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            plain = image.convert(_PLAIN[image.mode]) if image.mode in _PLAIN else image
            values = np.asarray(plain)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a picture (damaged or not one)") from error
    if values.dtype == np.int32 and values.min() >= 0 and values.max() < 2**16:
        values = values.astype(np.uint16)  # Pillow's mode I, its older name for 16 bits
    return from_array(values, type_range(values.dtype), "picture")
