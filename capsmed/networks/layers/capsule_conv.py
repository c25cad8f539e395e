"""Convolutional capsules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from capsmed.networks.blocks.options import PerAxis, at_least_one, per_axis, resolve_padding
from capsmed.networks.layers.conv_votes import ConvVotes
from capsmed.networks.layers.fields import Fields, unfold_windows
from capsmed.networks.layers.matrix_votes import MatrixVotes, matrix_side, noisy_identity, pose_rows
from capsmed.networks.layers.squash import lengths
from capsmed.networks.layers.votes import Votes
from capsmed.networks.registry import RoutingSpec, build_routing


class CapsuleConv(nn.Module):
    """Capsules that see a window of lower capsules, with transforms shared by all windows.

    Capsules are ordered type first, location second, below and above. The weights have the order of
    `CapsuleLinear`'s, the lower capsules of a window in the place of all lower capsules.

    Hinton, Sabour & Frosst 2018, section 4 (2D); the same in 3D. There a lower capsule is shared
    out among the higher capsules of all windows that it lies in (``competition="map"``). Most
    released code lets each window share it out anew, which is the default here because it is
    faster.

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
        init_scale: standard deviation of the weights at the start.
        competition: ``"location"`` or ``"map"``.
        transform: ``"linear"``, or ``"matrix"`` for poses that are square matrices, row by row, and
            transforms that multiply them (`MatrixVotes`): as in the paper, and with
            ``in_dim`` times fewer numbers. They start at the identity plus ``init_scale`` of noise,
            and ``out_dim`` is ``in_dim``.

    Raises:
        ValueError: there are no lower or no higher types, ``competition`` or ``transform`` is
            another word, a pose has no square number of components where it must, or a routing's
            or padding's option is wrong.
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
        init_scale: float = 0.05,
        competition: Literal["location", "map"] = "location",
        transform: Literal["linear", "matrix"] = "linear",
    ) -> None:
        super().__init__()
        at_least_one(in_types=in_types, out_types=out_types, in_dim=in_dim, out_dim=out_dim)
        if competition not in ("location", "map"):
            raise ValueError(f"competition: expected 'location' or 'map', got {competition!r}")
        if transform not in ("linear", "matrix"):
            raise ValueError(f"transform: expected 'linear' or 'matrix', got {transform!r}")
        if transform == "matrix" and in_dim != out_dim:
            raise ValueError(
                f"out_dim: expected {in_dim}, the in_dim, with matrix transforms, got {out_dim}"
            )
        self.competition = competition
        self.transform = transform
        self.in_types, self.in_dim = in_types, in_dim
        self.kernel_size = per_axis(kernel_size, spatial_dims)
        self.stride = per_axis(stride, spatial_dims)
        self.padding = per_axis(resolve_padding(padding, kernel_size), spatial_dims)
        window = in_types
        for size in self.kernel_size:
            window *= size
        if transform == "matrix":
            self.weight = noisy_identity(out_types, matrix_side(in_dim), window, init_scale)
        else:
            self.weight = nn.Parameter(torch.empty(out_types, out_dim, in_dim, window))
            nn.init.normal_(self.weight, std=init_scale)
        self.routing = build_routing(routing, (window, out_types, in_dim, out_dim), bias)

    def output_size(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the higher capsules' locations.

        Raises:
            ValueError: the grid is smaller than the kernel.
        """
        return self.fields(grid).output

    def forward(
        self, poses: Tensor, activations: Tensor | None = None, *, grid: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Route every window.

        Args:
            poses: ``[batch, in_types x locations, in_dim]``.
            activations: ``[batch, in_types x locations]``; None where only lengths are known.
            grid: spatial shape of the lower capsules' locations.

        Returns:
            Poses ``[batch, out_types x windows, out_dim]`` and activations
            ``[batch, out_types x windows]``.

        Raises:
            ValueError: the grid is smaller than the kernel.
        """
        count = self.fields(grid).count
        if activations is None and self.routing.needs_activations:
            activations = lengths(poses)
        higher, active = self.routing(self.votes(poses, activations, grid=grid))
        return unfold_windows(higher, count), unfold_windows(active.unsqueeze(2), count).squeeze(2)

    def votes(
        self, poses: Tensor, activations: Tensor | None = None, *, grid: Sequence[int]
    ) -> Votes:
        """The votes in all windows, folded into the batch; arguments as in `forward`."""
        fields, shared = self.fields(grid), self.competition == "map"
        if self.transform == "linear":
            return ConvVotes(poses, self.weight, activations, fields, shared)
        side = self.weight.shape[1]
        rows = ConvVotes(pose_rows(poses, side), self.weight, activations, fields, shared)
        return MatrixVotes(rows, side, fields.count)

    def fields(self, grid: Sequence[int]) -> Fields:
        """The windows over lower capsules on ``grid``."""
        return Fields(tuple(grid), self.kernel_size, self.stride, self.padding)
