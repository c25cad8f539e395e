"""Convolutional capsules whose lower types vote with one shared convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from monai.networks.layers.factories import Conv, Pad, Pool
from torch import Tensor, nn

from capsmed.networks.blocks.options import PerAxis, conv_output_size, per_axis, resolve_padding
from capsmed.networks.layers.fields import unfold_windows
from capsmed.networks.layers.squash import lengths
from capsmed.networks.layers.votes import DenseVotes
from capsmed.networks.registry import RoutingSpec, build_routing


class SharedCapsuleConv(nn.Module):
    """Each type of lower capsule votes with its whole window, all types with the same kernel.

    The vote of a type for a higher capsule is a convolution of that type's poses, so there is one
    vote a type and location where `CapsuleConv` has one a type and window location. The authors
    compute it as a 3D convolution that strides from type to type, hence "3D routing":
    Rajasegaran et al. 2019 (DeepCaps, arXiv 1904.09546), section 3.1; here for images and volumes.

    A type is shared out over all types and locations of the map (``competition="map"``, as in
    paper and released code), or at each location by itself. The released code squashes a whole map
    of one type as one long vector; here each capsule is squashed.

    It is called as `CapsuleConv` is. Routings that read lower poses or activations are given the
    window's mean.

    Args:
        spatial_dims: 2 or 3.
        in_types: lower capsules at each location.
        out_types: higher capsules at each location.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        kernel_size: one number, or one an axis.
        stride: one number, or one an axis.
        padding: empty locations around the grid, or ``"same"`` (odd kernels).
        routing: a name in ``Routing``, a pair of name and options, or a class.
        bias: ask the routing for a bias on each type of higher capsule.
        competition: ``"map"`` or ``"location"``.

    Raises:
        ValueError: ``competition`` is another word, or a routing's or padding's option is wrong.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_types: int,
        out_types: int,
        in_dim: int,
        out_dim: int,
        kernel_size: PerAxis = 3,
        stride: PerAxis = 1,
        padding: PerAxis | str = 0,
        routing: RoutingSpec = "dynamic",
        bias: bool = False,
        competition: Literal["location", "map"] = "map",
    ) -> None:
        super().__init__()
        if competition not in ("location", "map"):
            raise ValueError(f"competition: expected 'location' or 'map', got {competition!r}")
        self.competition = competition
        self.in_types, self.out_types = in_types, out_types
        self.out_dim = out_dim
        pad = resolve_padding(padding, kernel_size)
        self.conv = Conv["conv", spatial_dims](
            in_dim, out_types * out_dim, kernel_size, stride, pad, bias=False
        )
        nn.init.kaiming_normal_(self.conv.weight)
        # with empty locations of its own: PyTorch's 3D pooling refuses maps below its kernel
        empty = per_axis(pad, spatial_dims)
        both_sides = tuple(size for size in reversed(empty) for _ in (0, 1))
        pool = Pool["avg", spatial_dims](kernel_size, stride)
        self.mean = nn.Sequential(Pad["constantpad", spatial_dims](both_sides, 0.0), pool)
        self.routing = build_routing(routing, (in_types, out_types, in_dim, out_dim), bias)

    def output_size(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the higher capsules' locations.

        Raises:
            ValueError: the grid is smaller than the kernel.
        """
        return conv_output_size(self.conv, grid, "capsule convolution")

    def forward(
        self, poses: Tensor, activations: Tensor | None = None, *, grid: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Route the types at every location.

        Args:
            poses: ``[batch, in_types x locations, in_dim]``.
            activations: ``[batch, in_types x locations]``; None where only lengths are known.
            grid: spatial shape of the lower capsules' locations.

        Returns:
            Poses ``[batch, out_types x locations, out_dim]`` and activations
            ``[batch, out_types x locations]``.
        """
        count = math.prod(self.output_size(grid))
        maps = self._by_type(poses, grid)
        votes = self._by_location(self.conv(maps)).unflatten(2, (self.out_types, self.out_dim))
        active = None
        if self.routing.needs_activations:
            active = lengths(poses) if activations is None else activations
            active = self._by_location(self.mean(self._by_type(active.unsqueeze(2), grid)))[..., 0]
        lower = self._by_location(self.mean(maps))
        competing = count if self.competition == "map" else 1
        higher, active = self.routing(_SharedVotes(votes, lower, active, competing))
        return unfold_windows(higher, count), unfold_windows(active.unsqueeze(2), count).squeeze(2)

    def _by_type(self, rows: Tensor, grid: Sequence[int]) -> Tensor:
        """``[batch, types x locations, dim]`` as ``[batch x types, dim, *grid]``."""
        return rows.unflatten(1, (self.in_types, *grid)).movedim(-1, 2).flatten(0, 1)

    def _by_location(self, maps: Tensor) -> Tensor:
        """``[batch x types, dim, *grid]`` as ``[batch x locations, types, dim]``."""
        rows = maps.flatten(2).unflatten(0, (-1, self.in_types))
        return rows.permute(0, 3, 1, 2).flatten(0, 1)


class _SharedVotes(DenseVotes):
    """Votes whose lower capsules are shared out over ``competing`` successive rows."""

    def __init__(
        self, votes: Tensor, poses: Tensor, activations: Tensor | None, competing: int
    ) -> None:
        super().__init__(votes, poses, activations)
        self._competing = competing

    def mix(self, couplings: Tensor | None) -> Tensor:
        """See `Votes.mix`; equal shares of a map are smaller by the number of its locations."""
        mixed = super().mix(couplings)
        return mixed / self._competing if couplings is None else mixed

    def share(self, logits: Tensor) -> Tensor:
        """See `Votes.share`."""
        rows = logits.unflatten(0, (-1, self._competing)).flatten(1, 2)
        shares: Tensor = torch.softmax(rows, dim=1)
        return shares.unflatten(1, (self._competing, -1)).flatten(0, 1)
