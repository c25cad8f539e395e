"""The layers that make capsules: from feature maps, and from other capsules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.layers.factories import Conv
from monai.networks.layers.utils import get_norm_layer
from torch import Tensor, nn

from capsmed.networks.blocks.options import (
    PerAxis,
    at_least_one,
    conv_output_size,
    named,
    resolve_padding,
)
from capsmed.networks.layers.pointwise import convolve
from capsmed.networks.layers.squash import lengths, squash
from capsmed.networks.layers.votes import LinearVotes, exporting
from capsmed.networks.registry import RoutingSpec, build_routing


class PrimaryCapsules(nn.Module):
    """The first capsules: a convolution whose channels at one location form the capsules there.

    The channels are ordered component first, type second: channel ``d * types + t`` is component
    ``d`` of the capsule of type ``t``. Its poses are then a view of the convolution's output. The
    capsules are ordered type first, location second.

    Sabour et al. 2017, section 4: 32 types of 8-D capsules, 9x9 kernels, stride 2.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the feature map.
        types: capsules at each location.
        dim: components of a capsule.
        kernel_size: one number, or one an axis.
        stride: one number, or one an axis.
        padding: one number, or ``"same"`` (odd kernels).
        norm: a MONAI ``Norm`` name for the convolution's output, or None; the convolution then
            has no bias of its own.

    Raises:
        ValueError: there are no channels, types or components, or an option is wrong.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        types: int = 32,
        dim: int = 8,
        kernel_size: PerAxis = 9,
        stride: PerAxis = 2,
        padding: PerAxis | str = 0,
        norm: str | Sequence[Any] | None = None,
    ) -> None:
        super().__init__()
        at_least_one(in_channels=in_channels, types=types, dim=dim)
        self.types = types
        self.dim = dim
        pad = resolve_padding(padding, kernel_size)
        self.conv = Conv["conv", spatial_dims](
            in_channels, types * dim, kernel_size, stride, pad, bias=norm is None
        )
        self.norm = get_norm_layer(named(norm), spatial_dims, types * dim)

    def output_size(self, input_size: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the capsules' locations for feature maps of ``input_size``.

        Raises:
            ValueError: the maps are smaller than the kernel.
        """
        return conv_output_size(self.conv, input_size, "primary capsules")

    def forward(self, features: Tensor) -> Tensor:
        """Squashed poses ``[batch, types x locations, dim]`` of a feature map.

        Args:
            features: ``[batch, in_channels, ...]``.
        """
        maps = self.norm(convolve(self.conv, features))
        components = maps.unflatten(1, (self.dim, self.types)).flatten(2)
        return squash(components, dim=1).transpose(1, 2)


class CapsuleLinear(nn.Module):
    """Fully connected capsules: every lower capsule votes for every higher one, and is routed.

    The vote of ``i`` for ``j`` is ``u(i) W(ij)``; ``weight[j, e, d, i]`` is component ``(d, e)`` of
    ``W(ij)``, in the axis order that `contraction` computes with.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        routing: a name in ``Routing``, a pair of name and options, or a class.
        bias: ask the routing for a bias on each higher capsule.
        init_scale: standard deviation of the weights at the start. With softmax over the higher
            capsules it must be small (0.01 to 0.05), or training stalls.

    Raises:
        ValueError: there are no lower or higher capsules or components, or a
            routing's option is wrong.
    """

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        routing: RoutingSpec = "dynamic",
        bias: bool = False,
        init_scale: float = 0.05,
    ) -> None:
        super().__init__()
        at_least_one(
            in_capsules=in_capsules, out_capsules=out_capsules, in_dim=in_dim, out_dim=out_dim
        )
        self.weight = nn.Parameter(torch.empty(out_capsules, out_dim, in_dim, in_capsules))
        nn.init.normal_(self.weight, std=init_scale)
        sizes = (in_capsules, out_capsules, in_dim, out_dim)
        self.routing = build_routing(routing, sizes, bias)

    def forward(
        self, poses: Tensor, activations: Tensor | None = None, grid: tuple[int, ...] = ()
    ) -> tuple[Tensor, Tensor]:
        """Route lower capsules to higher ones.

        Args:
            poses: ``[batch, in_capsules, in_dim]``.
            activations: ``[batch, in_capsules]``; None where only lengths are known, which
                routings that need activations then take.
            grid: spatial shape of the lower capsules' locations.

        Returns:
            Poses ``[batch, out_capsules, out_dim]`` and activations ``[batch, out_capsules]``.

        Raises:
            ValueError: ``poses`` has another shape.
        """
        if not exporting():
            self._check(poses)
        if activations is None and self.routing.needs_activations:
            activations = lengths(poses)
        return self.routing(LinearVotes(poses, self.weight, activations, grid))

    def _check(self, poses: Tensor) -> None:
        _, _, in_dim, in_capsules = self.weight.shape
        if poses.ndim != 3 or poses.shape[1:] != (in_capsules, in_dim):
            raise ValueError(
                f"CapsuleLinear: expected poses [batch, {in_capsules}, {in_dim}], "
                f"got {list(poses.shape)}"
            )
