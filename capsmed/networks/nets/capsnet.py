"""The capsule network of Sabour, Frosst & Hinton, in 2D and 3D, for any image size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from capsmed.networks.blocks.decoder import build_decoder
from capsmed.networks.blocks.encoder import ConvEncoder
from capsmed.networks.blocks.options import PerAxis, at_least_one
from capsmed.networks.layers.capsules import CapsuleLinear, PrimaryCapsules
from capsmed.networks.registry import RoutingSpec


class CapsNet(nn.Module):
    """Convolutions, primary capsules, class capsules, and a decoder for training.

    The defaults are the paper's (arXiv 1710.09829, section 4): 8,215,568 parameters for
    28x28x1 and 10 classes, 6,804,224 without the decoder. For volumes choose small kernels:
    9x9x9 with 256 channels costs 157 GFLOP a sample and step.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        num_classes: number of class capsules.
        input_size: spatial size of the image.
        channels: see `ConvEncoder`, as the next seven.
        kernel_sizes: kernel of each stage.
        strides: stride of each stage.
        padding: voxels of zero padding, or ``"same"``.
        norm: MONAI ``Norm`` name, or None.
        act: MONAI ``Act`` name.
        dropout: probability of dropping a channel after each stage.
        pool: max-pooling factor after each stage.
        primary_capsules: types of primary capsules at each location.
        primary_dim: components of a primary capsule.
        primary_kernel: kernel of the primary capsules.
        primary_stride: stride of the primary capsules.
        primary_padding: voxels of zero padding there, or ``"same"``.
        primary_norm: MONAI ``Norm`` name before their squash, or None.
        class_dim: components of a class capsule.
        routing: a name in ``Routing``, or a pair of name and options.
        bias: ask the routing for a bias on each class capsule.
        decoder: ``"dense"``, ``"conv"``, a pair of name and options, or None.
        decoder_widths: the decoder's hidden widths; None for its own default.
        init_scale: standard deviation of the capsules' weights at the start.
        multilabel: an image may show several classes; scores are then read as they are.

    Raises:
        ValueError: the image is too small for the kernels, with the sizes; there are no classes; or
            an option is wrong.

    >>> network = CapsNet(2, 1, 10, (28, 28), decoder=None)
    >>> sum(p.numel() for p in network.parameters())
    6804224
    """

    reference = "Sabour, Frosst & Hinton 2017, arXiv 1710.09829, figure 1"

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
        primary_capsules: int = 32,
        primary_dim: int = 8,
        primary_kernel: PerAxis = 9,
        primary_stride: PerAxis = 2,
        primary_padding: PerAxis | str = 0,
        primary_norm: str | Sequence[Any] | None = None,
        class_dim: int = 16,
        routing: RoutingSpec = "dynamic",
        bias: bool = False,
        decoder: str | Sequence[Any] | None = "dense",
        decoder_widths: Sequence[int] | None = None,
        init_scale: float = 0.05,
        multilabel: bool = False,
    ) -> None:
        super().__init__()
        at_least_one(
            num_classes=num_classes,
            primary_capsules=primary_capsules,
            primary_dim=primary_dim,
            class_dim=class_dim,
        )
        self.score_kind = "multilabel" if multilabel else "lengths"
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
        self.primary = PrimaryCapsules(
            spatial_dims,
            self.encoder.out_channels,
            primary_capsules,
            primary_dim,
            primary_kernel,
            primary_stride,
            primary_padding,
            primary_norm,
        )
        self.grid = self.primary.output_size(self.encoder.output_size(input_size))
        self.classes = CapsuleLinear(
            primary_capsules * math.prod(self.grid),
            num_classes,
            primary_dim,
            class_dim,
            routing,
            bias,
            init_scale,
        )
        self.decoder = build_decoder(
            decoder, decoder_widths, num_classes, class_dim, in_channels, input_size
        )

    def capsules(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Class capsules of ``image [batch, in_channels, *input_size]``.

        Returns:
            Poses ``[batch, num_classes, class_dim]`` and activations ``[batch, num_classes]``.
        """
        return self.classes(self.primary(self.encoder(image)), grid=self.grid)

    def forward(self, image: Tensor) -> Tensor:
        """Class scores ``[batch, num_classes]``: the class capsules' activations."""
        return self.capsules(image)[1]
