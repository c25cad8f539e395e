"""A residual connection around capsule layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from capsmed.networks.layers.squash import lengths, squash
from capsmed.networks.layers.votes import exporting


class CapsuleResidual(nn.Module):
    r"""Capsule layers with a connection past them; the poses of both ways are added.

    .. math:: v = \mathrm{squash}(f_n(\dots f_1(u)) + g(u))

    Rajasegaran et al. 2019 (DeepCaps, arXiv 1904.09546), section 3.3. g is the identity where
    the layers keep types, components and grid, and a capsule layer otherwise: the projection. In
    DeepCaps it is always a layer, and its released code adds without the squash.

    The higher capsules' activations are the lengths of their poses.

    Args:
        layers: capsule layers one after the other, each called as `CapsuleConv` is.
        skip: the capsule layer beside them, such as a `CapsuleConv` with ``kernel_size=1`` and
            the stride of all ``layers``; None for the identity.
        squash: squash the sum, so that lengths stay below one.

    Raises:
        ValueError: there are no layers.
    """

    def __init__(
        self, layers: Sequence[nn.Module], skip: nn.Module | None = None, squash: bool = True
    ) -> None:
        super().__init__()
        if not layers:
            raise ValueError("layers: expected at least one capsule layer, got none")
        self.layers = nn.ModuleList(layers)
        self.skip = skip
        self.squash = squash

    def output_size(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the higher capsules' locations.

        Raises:
            ValueError: the two ways lead to different shapes, or the grid is too small.
        """
        size = beside = tuple(grid)
        layer: Any
        for layer in self.layers:
            size = layer.output_size(size)
        if self.skip is not None:
            skip: Any = self.skip
            beside = skip.output_size(beside)
        if size != beside:
            raise ValueError(
                f"CapsuleResidual: expected one grid on both ways, got {list(size)} after the "
                f"layers and {list(beside)} beside them; use padding 'same' and a skip layer of "
                "the same stride"
            )
        return size

    def forward(
        self, poses: Tensor, activations: Tensor | None = None, *, grid: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Add what the layers give to what the skip connection gives.

        Args:
            poses: ``[batch, types x locations, dim]``.
            activations: ``[batch, types x locations]``; None where only lengths are known.
            grid: spatial shape of the lower capsules' locations.

        Returns:
            Poses ``[batch, types x locations, dim]`` and activations
            ``[batch, types x locations]`` of the higher capsules.

        Raises:
            ValueError: the two ways give capsules of different shapes.
        """
        self.output_size(grid)
        beside = poses
        if self.skip is not None:
            beside, _ = self.skip(poses, activations, grid=grid)
        higher, size = poses, tuple(grid)
        layer: Any
        for layer in self.layers:
            higher, activations = layer(higher, activations, grid=size)
            size = layer.output_size(size)
        if not exporting():
            _check(higher, beside)
        total = higher + beside
        total = squash(total) if self.squash else total
        return total, lengths(total)

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return f"squash={self.squash}"


def _check(higher: Tensor, beside: Tensor) -> None:
    if higher.shape != beside.shape:
        raise ValueError(
            f"CapsuleResidual: expected the same capsules on both ways, got "
            f"{list(higher.shape[1:])} after the layers and {list(beside.shape[1:])} beside them "
            "(types x locations, components); give a skip layer that makes them alike"
        )
