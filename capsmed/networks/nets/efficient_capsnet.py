"""Efficient-CapsNet, in 2D and 3D, for any image size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from capsmed.networks.blocks.conv_stack import ConvStack
from capsmed.networks.blocks.options import PerAxis, at_least_one, remedy
from capsmed.networks.layers.capsules import CapsuleLinear
from capsmed.networks.layers.depthwise import DepthwisePrimaryCapsules
from capsmed.networks.layers.dropout import CapsuleDropout
from capsmed.networks.nets.capsule_network import CapsuleNetwork
from capsmed.networks.registry import RoutingSpec


class EfficientCapsNet(CapsuleNetwork):
    """Four convolutions, depthwise primary capsules, self-attention routing to class capsules.

    Mazzia, Salvetti & Chiaberge 2021 (arXiv 2101.12491), section 3: 161,824 parameters without
    decoder for 28x28x1 and 10 classes, the scales and shifts of the batch norms among them, their
    running statistics (576 numbers that no gradient reaches) not.

    The paper's primary kernel, 9x9, is as large as the map that it sees, so each type has one
    capsule. That stays so for any image: by default the kernel takes the size of the map. A smaller
    ``primary_kernel`` gives capsules at several locations, and more vote weights.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        num_classes: number of class capsules.
        input_size: spatial size of the image.
        channels: output channels of each convolution.
        kernel_sizes: one for all, or one each.
        strides: one for all, or one each.
        norm: MONAI ``Norm`` name after each activation, or None.
        act: MONAI ``Act`` name.
        primary_dim: components of a primary capsule; divides the last of ``channels``.
        primary_kernel: kernel of the primary capsules; None for the whole map.
        class_dim: components of a class capsule.
        routing: a name in ``Routing``, or a pair of name and options.
        capsule_dropout: probability of dropping a primary capsule while training.
        decoder: ``"dense"``, ``"conv"``, a pair of name and options, or None.
        decoder_widths: the decoder's hidden widths; None for its own default.
        init_scale: standard deviation of the vote weights at the start.

    Raises:
        ValueError: the image is too small for the kernels, with the sizes; or an option is wrong.

    >>> network = EfficientCapsNet(2, 1, 10, (28, 28), decoder=None)
    >>> sum(p.numel() for p in network.parameters())
    161824
    """

    reference = "Mazzia, Salvetti & Chiaberge 2021, Efficient-CapsNet, arXiv 2101.12491"
    example = {"channels": (6, 8), "kernel_sizes": 3, "strides": 2, "primary_dim": 4}

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        channels: Sequence[int] = (32, 64, 64, 128),
        kernel_sizes: PerAxis | Sequence[PerAxis] = (5, 3, 3, 3),
        strides: PerAxis | Sequence[PerAxis] = (1, 1, 1, 2),
        norm: str | Sequence[Any] | None = "batch",
        act: str | Sequence[Any] = "RELU",
        primary_dim: int = 8,
        primary_kernel: PerAxis | None = None,
        class_dim: int = 16,
        routing: RoutingSpec = "self_attention",
        capsule_dropout: float = 0.0,
        decoder: str | Sequence[Any] | None = "dense",
        decoder_widths: Sequence[int] | None = None,
        init_scale: float = 0.05,
    ) -> None:
        at_least_one(primary_dim=primary_dim)
        super().__init__(in_channels, num_classes, input_size, class_dim, decoder, decoder_widths)
        self.encoder = ConvStack(
            spatial_dims, in_channels, channels, kernel_sizes, strides, 0, norm, act
        )
        with remedy("use a larger input, or smaller kernel_sizes or strides"):
            size = self.encoder.output_size(input_size)
        kernel = size if primary_kernel is None else primary_kernel
        self.primary = DepthwisePrimaryCapsules(
            spatial_dims, self.encoder.out_channels, primary_dim, kernel
        )
        with remedy("use a larger input, or a smaller primary_kernel, or none"):
            self.grid = self.primary.output_size(size)
        self.dropout = CapsuleDropout(capsule_dropout)
        self.classes = CapsuleLinear(
            self.primary.types * math.prod(self.grid),
            num_classes,
            primary_dim,
            class_dim,
            routing,
            init_scale=init_scale,
        )

    def capsules(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `CapsuleNetwork.capsules`."""
        poses, _ = self.dropout(self.primary(self.encoder(image)))
        routed: tuple[Tensor, Tensor] = self.classes(poses, grid=self.grid)
        return routed
