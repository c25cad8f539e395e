"""Convolutions whose norm follows the activation, with biases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.networks.blocks import Convolution
from torch import Tensor, nn

from capsmed.networks.blocks.options import (
    PerAxis,
    at_least_one,
    conv_output_size,
    named,
    per_stage,
    resolve_padding,
)


class ConvStack(nn.Module):
    """Stages of convolution with bias, activation, and norm, in this order.

    Later capsule networks normalise what the activation gives; `ConvEncoder` normalises before
    it. Options take one value for all stages or a list with one a stage.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        channels: output channels of each stage.
        kernel_sizes: kernel of each stage.
        strides: stride of each stage.
        padding: voxels of zero padding, or ``"same"`` (odd kernels).
        norm: a MONAI ``Norm`` name, a pair of name and options, or None.
        act: a MONAI ``Act`` name, or a pair of name and options.

    Raises:
        ValueError: an option's list does not fit ``channels``, or there are none.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        channels: Sequence[int],
        kernel_sizes: PerAxis | Sequence[PerAxis],
        strides: PerAxis | Sequence[PerAxis] = 1,
        padding: int | str | Sequence[int | str] = 0,
        norm: str | Sequence[Any] | None = "batch",
        act: str | Sequence[Any] = "RELU",
    ) -> None:
        super().__init__()
        if not channels:
            raise ValueError("channels: expected at least one stage, got none")
        at_least_one(in_channels=in_channels, channels=min(channels))
        self.out_channels = channels[-1]
        options = {"kernel_sizes": kernel_sizes, "strides": strides, "padding": padding}
        spread = (per_stage(name, value, len(channels)) for name, value in options.items())
        widths = (in_channels, *channels)
        self.stages = nn.Sequential()
        for narrow, wide, kernel, stride, pad in zip(widths, channels, *spread, strict=False):
            self.stages.append(
                Convolution(
                    spatial_dims,
                    narrow,
                    wide,
                    stride,
                    kernel,
                    adn_ordering="AN",
                    act=named(act),
                    norm=named(norm) or None,
                    padding=resolve_padding(pad, kernel),
                )
            )

    def output_size(self, input_size: Sequence[int]) -> tuple[int, ...]:
        """Spatial size of the feature maps of an image of ``input_size``.

        Raises:
            ValueError: some stage's kernel is larger than what reaches it.
        """
        size = tuple(input_size)
        for number, stage in enumerate(self.stages, 1):
            where = f"encoder stage {number} of an image {list(input_size)}"
            size = conv_output_size(stage.conv, size, where)
        return size

    def forward(self, image: Tensor) -> Tensor:
        """Feature maps ``[batch, out_channels, ...]`` of ``image [batch, in_channels, ...]``."""
        maps: Tensor = self.stages(image)
        return maps
