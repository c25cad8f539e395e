"""The convolutional encoder that capsule networks and ordinary networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.networks.layers.factories import Conv, Pool
from monai.networks.layers.utils import get_act_layer, get_dropout_layer, get_norm_layer
from torch import Tensor, nn

from capsmed.networks.blocks.options import (
    PerAxis,
    at_least_one,
    conv_output_size,
    named,
    per_stage,
    resolve_padding,
)


class ConvEncoder(nn.Module):
    """Stages of convolution, norm, activation, pooling and dropout, in 2D or 3D.

    The options other than ``channels`` take one value for all stages or a list with one a stage;
    kernels and strides may be lists of one number an axis.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        channels: output channels of each stage.
        kernel_sizes: kernel of each stage.
        strides: stride of each stage.
        padding: voxels of zero padding, or ``"same"`` (odd kernels).
        norm: a MONAI ``Norm`` name, a pair of name and options, or None. With a norm the
            convolutions have no bias; MONAI's instance norm has none either unless
            ``["instance", {"affine": True}]`` is asked for.
        act: a MONAI ``Act`` name, or a pair of name and options.
        dropout: probability of dropping a whole channel after each stage.
        pool: max-pooling factor after each stage; 1 or None for none.

    Raises:
        ValueError: an option's list does not fit ``channels``.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        channels: Sequence[int] = (256,),
        kernel_sizes: PerAxis | Sequence[PerAxis] = (9,),
        strides: PerAxis | Sequence[PerAxis] = (1,),
        padding: int | str | Sequence[int | str] = 0,
        norm: str | Sequence[Any] | None = None,
        act: str | Sequence[Any] = "RELU",
        dropout: float = 0.0,
        pool: int | Sequence[int | None] | None = None,
    ) -> None:
        super().__init__()
        if not channels:
            raise ValueError("channels: expected at least one stage, got none")
        at_least_one(in_channels=in_channels, channels=min(channels))
        self.out_channels = channels[-1]
        self.stages = nn.Sequential()
        options = (kernel_sizes, strides, padding, pool)
        names = ("kernel_sizes", "strides", "padding", "pool")
        spread = (per_stage(n, o, len(channels)) for n, o in zip(names, options, strict=True))
        widths = (in_channels, *channels)
        for index, (kernel, stride, pad, factor) in enumerate(zip(*spread, strict=True)):
            narrow, wide = widths[index : index + 2]
            pad = resolve_padding(pad, kernel)
            conv = Conv["conv", spatial_dims](narrow, wide, kernel, stride, pad, bias=norm is None)
            layers = [conv, get_norm_layer(named(norm), spatial_dims, wide), _activation(act)]
            if factor not in (None, 0, 1):
                layers.append(Pool["max", spatial_dims](factor))
            if dropout:
                layers.append(get_dropout_layer(dropout, spatial_dims))
            self.stages.append(nn.Sequential(*layers))

    def output_size(self, input_size: Sequence[int]) -> tuple[int, ...]:
        """Spatial size of the feature maps of an image of ``input_size``.

        Raises:
            ValueError: some stage's kernel is larger than what reaches it.
        """
        size = tuple(input_size)
        for number, stage in enumerate(self.stages, 1):
            for layer in stage.children():
                if hasattr(layer, "kernel_size"):
                    where = f"encoder stage {number} of an image {list(input_size)}"
                    size = conv_output_size(layer, size, where)
        return size

    def forward(self, image: Tensor) -> Tensor:
        """Feature maps ``[batch, out_channels, ...]`` of ``image [batch, in_channels, ...]``."""
        return self.stages(image)


def _activation(act: str | Sequence[Any]) -> nn.Module:
    layer = get_act_layer(named(act))
    if isinstance(layer, nn.ReLU):
        layer.inplace = True  # neither convolution nor norm needs its own output again
    return layer
