"""A small backbone of three levels."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.blocks import Convolution
from torch import Tensor, nn


class Pyramid(nn.Module):
    """Convolutions with stride 2: feature maps of a half, a quarter and an eighth of the image.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        input_size: not needed.
        channels: of each map.
    """

    example = {"channels": (4, 6, 8)}
    reference = "an example"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        input_size: Sequence[int],
        channels: Sequence[int] = (16, 32, 64),
    ) -> None:
        super().__init__()
        widths = [in_channels, *channels]
        self.stages = nn.ModuleList(
            Convolution(spatial_dims, narrow, wide, strides=2, norm="instance", act="relu")
            for narrow, wide in zip(widths[:-1], channels, strict=True)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """The maps of ``image [batch, in_channels, *size]``, the largest first."""
        maps = []
        for stage in self.stages:
            image = stage(image)
            maps.append(image)
        return maps
