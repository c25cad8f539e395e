"""The capsule network's encoder with an ordinary head, to compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from capsmed.networks.blocks.encoder import ConvEncoder
from capsmed.networks.blocks.options import PerAxis, at_least_one


class ConvNet(nn.Module):
    """`ConvEncoder`, then flattening or averaging, then linear layers to class logits.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        num_classes: number of classes.
        input_size: spatial size of the image.
        channels: see `ConvEncoder`, as the next seven.
        kernel_sizes: kernel of each stage.
        strides: stride of each stage.
        padding: voxels of zero padding, or ``"same"``.
        norm: MONAI ``Norm`` name, or None.
        act: MONAI ``Act`` name.
        dropout: probability of dropping a channel after each stage.
        pool: max-pooling factor after each stage.
        head: ``"flatten"`` keeps all locations, ``"average"`` takes each channel's mean.
        hidden: widths of linear layers with ReLU before the last one.
        head_dropout: dropout before the last linear layer.

    Raises:
        ValueError: the image is too small for the kernels, there are no classes, or ``head`` is
            another word.
    """

    score_kind = "logits"
    decoder = None

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        channels: Sequence[int] = (256,),
        kernel_sizes: PerAxis | Sequence[PerAxis] = (9,),
        strides: PerAxis | Sequence[PerAxis] = (1,),
        padding: int | str | Sequence[int | str] = 0,
        norm: str | Sequence[Any] | None = None,
        act: str | Sequence[Any] = "RELU",
        dropout: float = 0.0,
        pool: int | Sequence[int | None] | None = None,
        head: Literal["flatten", "average"] = "flatten",
        hidden: Sequence[int] = (),
        head_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        at_least_one(num_classes=num_classes)
        if head not in ("flatten", "average"):
            raise ValueError(f"head: expected 'flatten' or 'average', got {head!r}")
        self.num_classes = num_classes
        self.encoder = ConvEncoder(
            spatial_dims,
            in_channels,
            channels,
            kernel_sizes,
            strides,
            padding,
            norm,
            act,
            dropout,
            pool,
        )
        self.head = head
        locations = math.prod(self.encoder.output_size(input_size))
        features = self.encoder.out_channels * (locations if head == "flatten" else 1)
        self.classifier = linear_layers(features, hidden, num_classes, head_dropout)

    def forward(self, image: Tensor) -> Tensor:
        """Class logits ``[batch, num_classes]`` of ``image [batch, in_channels, *input_size]``."""
        maps = self.encoder(image).flatten(2)
        return self.classifier(maps.flatten(1) if self.head == "flatten" else maps.mean(2))


def linear_layers(
    features: int, hidden: Sequence[int], num_classes: int, dropout: float
) -> nn.Sequential:
    """Linear layers with ReLU between them and dropout before the last."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(features, width), nn.ReLU(inplace=True)]
        features = width
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(features, num_classes))
