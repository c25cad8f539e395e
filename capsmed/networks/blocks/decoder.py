"""Decoders: the image that the capsule of one class stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from monai.networks.layers.factories import Conv, split_args
from monai.networks.layers.utils import get_act_layer
from torch import Tensor, nn

from capsmed.networks.blocks.options import named


class DenseDecoder(nn.Module):
    """Fully connected reconstruction, as in Sabour et al. 2017, figure 2: 512, 1024, pixels.

    Args:
        num_classes: number of class capsules.
        class_dim: components of a class capsule.
        out_channels: channels of the image.
        output_size: spatial size of the image.
        widths: width of each hidden layer.
        output_act: MONAI ``Act`` name of the last activation; ``""`` for none. The sigmoid wants
            images scaled to 0..1.
    """

    def __init__(
        self,
        num_classes: int,
        class_dim: int,
        out_channels: int,
        output_size: Sequence[int],
        widths: Sequence[int] = (512, 1024),
        output_act: str | Sequence[Any] = "SIGMOID",
    ) -> None:
        super().__init__()
        self.output_shape = (out_channels, *output_size)
        sizes = (num_classes * class_dim, *widths)
        layers: list[nn.Module] = []
        for narrow, wide in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(narrow, wide), nn.ReLU(inplace=True)]
        layers += [
            nn.Linear(sizes[-1], math.prod(self.output_shape)),
            get_act_layer(named(output_act)),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, poses: Tensor, mask: Tensor) -> Tensor:
        """Reconstruct from the capsules that ``mask`` keeps.

        Args:
            poses: ``[batch, num_classes, class_dim]``.
            mask: ``[batch, num_classes]``, one for the class to show, zero elsewhere.

        Returns:
            ``[batch, out_channels, *output_size]``.
        """
        return self.layers(_masked(poses, mask)).unflatten(1, self.output_shape)


class ConvDecoder(nn.Module):
    """Convolutional reconstruction of any size, after Mobiny & Van Nguyen 2018 (Fast CapsNet).

    A linear layer makes a small map, then each step doubles it (nearest neighbour) and convolves.
    The small map has the image's size halved, rounding up, once for each step, and the steps aim
    at the sizes in between, so odd sizes are met exactly. Transposed convolutions, which
    the paper uses, could not promise that and leave a checkerboard.

    Args:
        num_classes: number of class capsules.
        class_dim: components of a class capsule.
        out_channels: channels of the image.
        output_size: spatial size of the image.
        widths: channels of the small map and of each doubling but the last.
        output_act: MONAI ``Act`` name of the last activation; ``""`` for none.
    """

    def __init__(
        self,
        num_classes: int,
        class_dim: int,
        out_channels: int,
        output_size: Sequence[int],
        widths: Sequence[int] = (64, 32, 16),
        output_act: str | Sequence[Any] = "SIGMOID",
    ) -> None:
        super().__init__()
        conv = Conv["conv", len(output_size)]
        sizes = [tuple(output_size)]
        for _ in widths[1:]:
            sizes.append(tuple(math.ceil(n / 2) for n in sizes[-1]))
        sizes.reverse()
        self.map_shape = (widths[0], *sizes[0])
        self.linear = nn.Linear(num_classes * class_dim, math.prod(self.map_shape))
        layers: list[nn.Module] = [nn.ReLU(inplace=True)]
        for size, narrow, wide in zip(sizes[1:], widths[:-1], widths[1:], strict=True):
            layers += [nn.Upsample(size), conv(narrow, wide, 3, 1, 1), nn.ReLU(inplace=True)]
        layers += [conv(widths[-1], out_channels, 3, 1, 1), get_act_layer(named(output_act))]
        self.layers = nn.Sequential(*layers)

    def forward(self, poses: Tensor, mask: Tensor) -> Tensor:
        """See `DenseDecoder.forward`."""
        small = self.linear(_masked(poses, mask)).unflatten(1, self.map_shape)
        return self.layers(small)


DECODERS: dict[str, type[nn.Module]] = {"dense": DenseDecoder, "conv": ConvDecoder}


def build_decoder(
    spec: str | Sequence[Any] | None,
    widths: Sequence[int] | None,
    num_classes: int,
    class_dim: int,
    out_channels: int,
    output_size: Sequence[int],
) -> nn.Module | None:
    """Build the decoder that ``spec`` names, or none.

    Args:
        spec: a name in ``DECODERS``, a pair of name and options, or None.
        widths: hidden widths; None for the decoder's own.
        num_classes: number of class capsules.
        class_dim: components of a class capsule.
        out_channels: channels of the image.
        output_size: spatial size of the image.

    Raises:
        ValueError: no such decoder.
    """
    if spec is None:
        return None
    name, options = split_args(spec)
    if name not in DECODERS:
        raise ValueError(f"decoder: expected one of {sorted(DECODERS)} or None, got {name!r}")
    if widths is not None:
        options = {"widths": widths, **options}
    return DECODERS[name](num_classes, class_dim, out_channels, output_size, **options)


def _masked(poses: Tensor, mask: Tensor) -> Tensor:
    return (poses * mask.to(poses.dtype).unsqueeze(-1)).flatten(1)
