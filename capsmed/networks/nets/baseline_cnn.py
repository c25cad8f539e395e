"""The ordinary network that the paper compares its capsules with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capsmed.networks.blocks.options import PerAxis
from capsmed.networks.nets.conv_net import ConvNet


class BaselineCNN(ConvNet):
    """Three convolutions of 256, 256, 128 channels, linear layers of 328 and 192, dropout.

    Sabour et al. 2017 (arXiv 1710.09829), section 5. The paper's 35.4 M parameters come out with
    padded convolutions: 35,445,522 for 28x28x1 and 10 classes. The first linear layer grows with
    the image; for volumes use strides or pooling.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        num_classes: number of classes.
        input_size: spatial size of the image.
        channels: see `ConvEncoder`, as the next six.
        kernel_sizes: kernel of each stage.
        strides: stride of each stage.
        padding: voxels of zero padding, or ``"same"``.
        norm: MONAI ``Norm`` name, or None.
        act: MONAI ``Act`` name.
        pool: max-pooling factor after each stage.
        hidden: widths of the linear layers.
        dropout: dropout before the last linear layer.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        channels: Sequence[int] = (256, 256, 128),
        kernel_sizes: PerAxis | Sequence[PerAxis] = (5,),
        strides: PerAxis | Sequence[PerAxis] = (1,),
        padding: int | str | Sequence[int | str] = "same",
        norm: str | Sequence[Any] | None = None,
        act: str | Sequence[Any] = "RELU",
        pool: int | Sequence[int | None] | None = None,
        hidden: Sequence[int] = (328, 192),
        dropout: float = 0.5,
    ) -> None:
        super().__init__(
            spatial_dims,
            in_channels,
            num_classes,
            input_size,
            channels,
            kernel_sizes,
            strides,
            padding,
            norm,
            act,
            pool=pool,
            hidden=hidden,
            head_dropout=dropout,
        )
