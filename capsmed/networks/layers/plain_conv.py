"""Convolutional capsules without routing."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.layers.factories import Conv
from torch import Tensor, nn

from capsmed.networks.blocks.options import PerAxis, at_least_one, conv_output_size, resolve_padding
from capsmed.networks.layers.squash import lengths, squash

#: Of the weights at the start. Squashing squares the length of short poses: with a gain of 1 those
#: of a 16x16 image are of length 1e-18 after four cells of DeepCaps, and nothing is learned.
GAIN = 3.0


class PlainCapsuleConv(nn.Module):
    """A convolution over the components of all capsules at a location, squashed.

    It is `CapsuleConv` with every coupling equal to one, which needs no votes: the unrouted
    layers of DeepCaps (Rajasegaran et al. 2019, arXiv 1904.09546). It is called as `CapsuleConv`
    is. As there, it has no bias. Its weights start as Glorot's uniform ones times `GAIN`, so that
    lengths pass through many layers.

    Args:
        spatial_dims: 2 or 3.
        in_types: lower capsules at each location.
        out_types: higher capsules at each location.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        kernel_size: one number, or one an axis.
        stride: one number, or one an axis.
        padding: empty locations around the grid, or ``"same"`` (odd kernels).
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
    ) -> None:
        super().__init__()
        at_least_one(in_types=in_types, out_types=out_types, in_dim=in_dim, out_dim=out_dim)
        self.in_types = in_types
        self.out_types, self.out_dim = out_types, out_dim
        self.conv = Conv["conv", spatial_dims](
            in_types * in_dim,
            out_types * out_dim,
            kernel_size,
            stride,
            resolve_padding(padding, kernel_size),
            bias=False,
        )
        nn.init.xavier_uniform_(self.conv.weight, gain=GAIN)

    def output_size(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the higher capsules' locations.

        Raises:
            ValueError: the grid is smaller than the kernel.
        """
        return conv_output_size(self.conv, grid, "capsule convolution")

    def forward(
        self, poses: Tensor, activations: Tensor | None = None, *, grid: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Convolve the poses; the lower activations are not read.

        Args:
            poses: ``[batch, in_types x locations, in_dim]``.
            activations: ``[batch, in_types x locations]`` or None.
            grid: spatial shape of the lower capsules' locations.

        Returns:
            Poses ``[batch, out_types x locations, out_dim]`` and their lengths
            ``[batch, out_types x locations]``.
        """
        maps = poses.transpose(1, 2).unflatten(2, (self.in_types, *grid)).flatten(1, 2)
        components = self.conv(maps).unflatten(1, (self.out_dim, self.out_types)).flatten(2)
        higher = squash(components, dim=1).transpose(1, 2)
        return higher, lengths(higher)
