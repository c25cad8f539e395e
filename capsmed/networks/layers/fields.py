"""Receptive fields of convolutional capsules: which lower locations each higher one sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from capsmed.networks.blocks.options import TooSmall


@dataclass(frozen=True)
class Fields:
    """The windows of a convolution over ``grid``, in 1, 2 or 3 dimensions.

    Attributes:
        grid: spatial shape of the lower locations.
        kernel: size of a window.
        stride: steps between windows.
        padding: empty locations before and after the grid.
    """

    grid: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    @property
    def output(self) -> tuple[int, ...]:
        """Spatial shape of the windows.

        Raises:
            TooSmall: the padded grid is smaller than the kernel.
        """
        least = [k - 2 * p for k, p in zip(self.kernel, self.padding, strict=True)]
        if len(self.grid) != len(self.kernel) or any(
            n < m for n, m in zip(self.grid, least, strict=True)
        ):
            raise TooSmall(
                f"capsule convolution: expected a grid of at least {least}, got {list(self.grid)}"
            )
        return tuple(
            (n - m) // s + 1 for n, m, s in zip(self.grid, least, self.stride, strict=True)
        )

    @property
    def count(self) -> int:
        """Number of windows."""
        return math.prod(self.output)

    def gather(self, rows: Tensor, fill: float = 0.0) -> Tensor:
        """Windows of ``rows [..., locations]`` as ``[..., windows, window locations]``."""
        leading, count = rows.shape[:-1], self.count
        maps = rows.reshape(-1, *self.grid)
        both_sides = [pad for pad in reversed(self.padding) for _ in (0, 1)]
        maps = F.pad(maps, both_sides, value=fill)
        for axis, (size, step) in enumerate(zip(self.kernel, self.stride, strict=True), 1):
            maps = maps.unfold(axis, size, step)
        return maps.reshape(*leading, count, math.prod(self.kernel))

    def index(self, device: torch.device) -> Tensor:
        """Lower location of each window's locations, ``[windows, window locations]``.

        Padding has the number after the last location.
        """
        number = math.prod(self.grid)
        return self.gather(torch.arange(number, device=device), fill=number)


def unfold_windows(capsules: Tensor, windows: int) -> Tensor:
    """``[batch x windows, types, dim]`` as ``[batch, types x windows, dim]``."""
    return capsules.unflatten(0, (-1, windows)).transpose(1, 2).flatten(1, 2)
