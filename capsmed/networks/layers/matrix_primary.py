"""Primary matrix capsules: poses and activations from feature maps."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.layers.factories import Conv
from torch import Tensor, nn

from capsmed.networks.blocks.options import PerAxis, conv_output_size, resolve_padding


class MatrixPrimaryCapsules(nn.Module):
    """The first capsules of a matrix capsule network, with activations of their own.

    A convolution gives each capsule its pose, which is not squashed, and the logit of its
    activation. Hinton, Sabour & Frosst 2018, section 4: 4x4 poses, 1x1 kernels. The channels are
    ordered component first, type second, the logits last. The capsules are ordered type first,
    location second.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the feature map.
        types: capsules at each location.
        dim: components of a pose, rows times columns.
        kernel_size: one number, or one an axis.
        stride: one number, or one an axis.
        padding: one number, or ``"same"`` (odd kernels).
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        types: int = 8,
        dim: int = 16,
        kernel_size: PerAxis = 1,
        stride: PerAxis = 1,
        padding: PerAxis | str = 0,
    ) -> None:
        super().__init__()
        self.types = types
        self.dim = dim
        pad = resolve_padding(padding, kernel_size)
        self.conv = Conv["conv", spatial_dims](
            in_channels, types * (dim + 1), kernel_size, stride, pad
        )

    def output_size(self, input_size: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the capsules' locations for feature maps of ``input_size``.

        Raises:
            ValueError: the maps are smaller than the kernel.
        """
        return conv_output_size(self.conv, input_size, "primary matrix capsules")

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Poses and activations of a feature map.

        Args:
            features: ``[batch, in_channels, ...]``.

        Returns:
            Poses ``[batch, types x locations, dim]`` and activations of 0 to 1
            ``[batch, types x locations]``.
        """
        maps = self.conv(features).unflatten(1, (self.dim + 1, self.types)).flatten(2)
        return maps[:, :-1].transpose(1, 2), maps[:, -1].sigmoid()
