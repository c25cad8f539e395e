"""Plain tensors where MONAI hands over images with metadata."""

from __future__ import annotations

from monai.data import MetaTensor
from torch import Tensor


def plain(tensor: Tensor) -> Tensor:
    """The tensor without MONAI's metadata, whose bookkeeping slows every operation down.

    A ``MetaTensor`` also lacks some forms of torch's methods, such as ``new_empty(2, 3)``.
    """
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
