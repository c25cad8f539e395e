"""The mask of a row, when it can be the lesion of the row's scan."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capsmed import config
from capsmed.data.images import located
from capsmed.data.masks import Mask, open_mask
from capsmed.data.problems import told
from capsmed.data.volume import Volume
from capsmed.errors import DataError

#: Masks that are read at once, by however many threads: one of a whole scan takes up to 400 MB.
OPENING = threading.BoundedSemaphore(4)


def fitting_mask(
    cells: Mapping[str, Any], volume: Volume, root: Path | None, checks: config.Checks
) -> Mask:
    """Open the mask that a row names: not empty, and touching the scan.

    Args:
        cells: the row, with a ``mask`` and perhaps a ``mask_segment``.
        volume: the row's image.
        root: folder that paths are relative to.
        checks: what happens when an image of labels is odd.

    Raises:
        CheckFailed: the mask fails a check whose policy is not 'warn'.
        DataError: it cannot be read, is empty or lies elsewhere; with its reason.
    """
    name = f"mask '{cells['mask']}'"
    if not volume.has_mm or len(volume.shape) != 3:
        raise DataError(f"{name}: expected a 3D scan in mm to place it in", "image knows no mm")
    with OPENING, told(name, "mask cannot be used"):
        path = located(str(cells["mask"]), root)
        mask = open_mask(path, str(cells.get("mask_segment", "")), volume, checks)
        misfit = mask.misfit(volume)
    if misfit:
        raise DataError(f"{name}: it {misfit}", f"mask {misfit}")
    return mask
