"""Primary capsules from a depthwise convolution."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.layers.factories import Conv
from torch import Tensor, nn

from capsmed.networks.blocks.options import PerAxis, conv_output_size, resolve_padding
from capsmed.networks.layers.squash import exponential_squash


class DepthwisePrimaryCapsules(nn.Module):
    """Primary capsules whose every component looks at one channel of the feature map.

    A depthwise convolution has one kernel a channel; ``dim`` of its output channels form a
    capsule. It needs ``in_channels`` times fewer weights than `PrimaryCapsules`. With a kernel
    as large as the map there is one capsule of each type, which has seen the whole image.

    Mazzia, Salvetti & Chiaberge 2021 (Efficient-CapsNet, arXiv 2101.12491), section 3.1, with
    their squash, `exponential_squash`. The channels are ordered as in `PrimaryCapsules`, component
    first: channel ``d * types + t``. The authors' released code has the type first, which with
    learned channels is the same layer.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the feature map, a multiple of ``dim``.
        dim: components of a capsule.
        kernel_size: one number, or one an axis.
        stride: one number, or one an axis.
        padding: one number, or ``"same"`` (odd kernels).

    Raises:
        ValueError: ``in_channels`` is no multiple of ``dim``.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        dim: int = 8,
        kernel_size: PerAxis = 9,
        stride: PerAxis = 1,
        padding: PerAxis | str = 0,
    ) -> None:
        super().__init__()
        if dim < 1 or in_channels % dim:
            raise ValueError(f"dim: expected a divisor of the {in_channels} channels, got {dim}")
        self.types = in_channels // dim
        self.dim = dim
        self.conv = Conv["conv", spatial_dims](
            in_channels,
            in_channels,
            kernel_size,
            stride,
            resolve_padding(padding, kernel_size),
            groups=in_channels,
        )

    def output_size(self, input_size: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the capsules' locations for feature maps of ``input_size``.

        Raises:
            ValueError: the maps are smaller than the kernel.
        """
        return conv_output_size(self.conv, input_size, "depthwise primary capsules")

    def forward(self, features: Tensor) -> Tensor:
        """Squashed poses ``[batch, types x locations, dim]`` of a feature map.

        Args:
            features: ``[batch, in_channels, ...]``.
        """
        components = self.conv(features).unflatten(1, (self.dim, self.types)).flatten(2)
        return exponential_squash(components, dim=1).transpose(1, 2)
