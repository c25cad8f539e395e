"""MONAI networks as backbones, by name: feature maps or tokens instead of class scores.

Each is built from ``spatial_dims, in_channels, input_size`` and its own options. Parameters keep
MONAI's names, so that a checkpoint of the MONAI network loads into its backbone. Nothing is
downloaded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from monai.networks.nets.densenet import DenseNet121
from monai.networks.nets.efficientnet import EfficientNetBNFeatures
from monai.networks.nets.resnet import ResNetFeatures
from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.swin_unetr import SwinTransformer
from monai.networks.nets.vit import ViT
from monai.utils import OptionalImportError
from torch import Tensor, nn
from torch.nn import functional

from capsmed import third_party
from capsmed.errors import did_you_mean
from capsmed.networks.blocks.options import PerAxis, name_and_options, named, only_known, per_axis
from capsmed.networks.registry import BACKBONES, register_backbone


class DenseNet121Features(nn.Sequential):
    """MONAI's ``DenseNet121`` up to its pooling: one map, a 32nd of the image, 1024 channels.

    ``DenseNet121.features`` ends before the last ReLU; here it is part of the backbone. For small
    images take an earlier level: ``features.denseblock3`` is a 16th, ``features.denseblock2`` an
    8th. The layers after it are then removed.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        input_size: not needed.
        init_features: channels of the first convolution.
        growth_rate: channels that each layer adds.
        block_config: layers of each dense block.
        norm: MONAI ``Norm`` name, or a pair of name and options.
        dropout_prob: dropout after each dense layer.
    """

    reference: ClassVar[str] = "Huang et al. 2017, arXiv 1608.06993; monai DenseNet121"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        input_size: Sequence[int],
        init_features: int = 64,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        norm: str | Sequence[Any] = "batch",
        dropout_prob: float = 0.0,
    ) -> None:
        network = DenseNet121(
            spatial_dims,
            in_channels,
            1,
            init_features,
            growth_rate,
            tuple(block_config),
            norm=named(norm),
            dropout_prob=dropout_prob,
        )
        super().__init__(OrderedDict(features=network.features, relu=nn.ReLU()))


class ResNet18Features(ResNetFeatures):
    """MONAI's ``ResNetFeatures("resnet18")``: five maps, a 2nd to a 32nd, 64 to 512 channels.

    The values are MONAI's. Its shortcuts where channels double cut off the gradient and the batch
    size in an exported graph; here they are `PaddedShortcut`, which does neither.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        input_size: not needed.
        max_pool: halve the map after the first convolution; False doubles all later maps.
    """

    reference: ClassVar[str] = "He et al. 2016, arXiv 1512.03385; monai ResNetFeatures"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        input_size: Sequence[int],
        max_pool: bool = True,
    ) -> None:
        super().__init__("resnet18", False, spatial_dims, in_channels)
        self.no_max_pool = not max_pool
        for block in self.modules():
            shortcut = getattr(block, "downsample", None)
            if isinstance(shortcut, partial):
                del block.downsample
                planes, stride = (shortcut.keywords[key] for key in ("planes", "stride"))
                block.register_module("downsample", PaddedShortcut(planes, stride))


class PaddedShortcut(nn.Module):
    """Every ``stride``-th location, and channels of zeros: shortcut A of He et al. 2016.

    Args:
        planes: number of channels that come out.
        stride: steps between the locations kept.
    """

    def __init__(self, planes: int, stride: int) -> None:
        super().__init__()
        self.planes, self.stride = planes, stride

    def forward(self, maps: Tensor) -> Tensor:
        """``[batch, planes, ...]`` of ``maps [batch, channels, ...]``."""
        kept = maps[(slice(None), slice(None), *[slice(None, None, self.stride)] * (maps.ndim - 2))]
        sides = [0, 0] * (maps.ndim - 2)
        return functional.pad(kept, [*sides, 0, self.planes - maps.shape[1]])


class EfficientNetB0Features(EfficientNetBNFeatures):
    """MONAI's ``EfficientNetBNFeatures("efficientnet-b0")``: five maps, a 2nd to a 32nd.

    They have 16, 24, 40, 112 and 320 channels.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        input_size: not needed.
        norm: MONAI ``Norm`` name, or a pair of name and options.
    """

    reference: ClassVar[str] = "Tan & Le 2019, arXiv 1905.11946; monai EfficientNetBNFeatures"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        input_size: Sequence[int],
        norm: str | Sequence[Any] = ("batch", {"eps": 1e-3, "momentum": 0.01}),
    ) -> None:
        super().__init__(
            "efficientnet-b0",
            pretrained=False,
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            norm=named(norm),
        )


class SwinFeatures(SwinTransformer):
    """The encoder of MONAI's ``SwinUNETR``: five maps, each half the size and twice the channels.

    Parameters are named as in its ``swinViT``.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        input_size: not needed.
        feature_size: channels of the first map.
        window_size: window of attention, one number or one an axis.
        patch_size: size of a patch, one number or one an axis.
        depths: blocks of each of the four stages.
        num_heads: attention heads of each stage; each divides its stage's channels.
        drop_rate: dropout.
        attn_drop_rate: dropout of attention.
        drop_path_rate: stochastic depth.
        use_v2: a residual convolution before each stage, as SwinUNETR-V2 has.
    """

    reference: ClassVar[str] = "Hatamizadeh et al. 2022, arXiv 2201.01266; monai SwinTransformer"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        input_size: Sequence[int],
        feature_size: int = 24,
        window_size: PerAxis = 7,
        patch_size: PerAxis = 2,
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        use_v2: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            feature_size,
            per_axis(window_size, spatial_dims),
            per_axis(patch_size, spatial_dims),
            depths,
            num_heads,
            drop_rate=drop_rate,
            attn_drop_rate=attn_drop_rate,
            drop_path_rate=drop_path_rate,
            spatial_dims=spatial_dims,
            use_v2=use_v2,
        )


class ViTTokens(ViT):
    """MONAI's ``ViT`` without a head: tokens of each block, normalised ones last.

    Level -1 is what comes out, levels 0 on are the blocks' outputs.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        input_size: spatial size of the image, a multiple of ``patch_size``.
        patch_size: size of a patch, one number or one an axis.
        hidden_size: channels of a token.
        mlp_dim: width of the blocks' hidden layer.
        num_layers: number of blocks.
        num_heads: attention heads.
        dropout_rate: dropout.
        pos_embed_type: ``"learnable"``, ``"sincos"`` or ``"none"``.
        qkv_bias: bias of queries, keys and values.
    """

    reference: ClassVar[str] = "Dosovitskiy et al. 2021, arXiv 2010.11929; monai ViT"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        input_size: Sequence[int],
        patch_size: PerAxis = 16,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_layers: int = 12,
        num_heads: int = 12,
        dropout_rate: float = 0.0,
        pos_embed_type: str = "learnable",
        qkv_bias: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            tuple(input_size),
            per_axis(patch_size, spatial_dims),
            hidden_size,
            mlp_dim,
            num_layers,
            num_heads,
            pos_embed_type=pos_embed_type,
            dropout_rate=dropout_rate,
            spatial_dims=spatial_dims,
            qkv_bias=qkv_bias,
        )


class SegResNetEncoder(SegResNet):
    """The encoder of MONAI's ``SegResNet``: maps of each depth, each half the size of the last.

    They have no last norm, so their scale is the network's own; the capsule head's
    ``primary_norm`` takes it out.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        input_size: not needed.
        init_filters: channels of the first map; each later one has twice as many.
        blocks_down: residual blocks of each depth.
        norm: MONAI ``Norm`` name, or a pair of name and options.
        dropout_prob: dropout after the first convolution, or None.
    """

    reference: ClassVar[str] = "Myronenko 2018, arXiv 1810.11654; monai SegResNet"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        input_size: Sequence[int],
        init_filters: int = 8,
        blocks_down: Sequence[int] = (1, 2, 2, 4),
        norm: str | Sequence[Any] = ("GROUP", {"num_groups": 8}),
        dropout_prob: float | None = None,
    ) -> None:
        super().__init__(
            spatial_dims,
            init_filters,
            in_channels,
            dropout_prob=dropout_prob,
            norm=named(norm),
            blocks_down=tuple(blocks_down),
            blocks_up=(),
        )
        del self.up_layers, self.up_samples, self.conv_final

    def forward(self, image: Tensor) -> Any:
        """List of feature maps of ``image [batch, in_channels, *size]``, the deepest last."""
        _, maps = self.encode(image)
        return maps


register_backbone("densenet121", DenseNet121Features)
register_backbone("resnet18", ResNet18Features)
register_backbone("efficientnet_b0", EfficientNetB0Features)
register_backbone("swin", SwinFeatures)
register_backbone("vit", ViTTokens)
register_backbone("segresnet", SegResNetEncoder)


def build_backbone(
    spec: nn.Module | str | Sequence[Any],
    spatial_dims: int,
    in_channels: int,
    input_size: Sequence[int],
) -> nn.Module:
    """A module as it is, or one built from a name in ``BACKBONES``.

    Args:
        spec: a module, a name, or a pair of name and options.
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        input_size: spatial size of the image.

    Raises:
        ValueError: no backbone has that name, it has no such option, MONAI refuses an option, or
            a package is missing that MONAI needs for it.
    """
    if isinstance(spec, nn.Module):
        return spec
    known, pair = sorted(BACKBONES), name_and_options(spec)
    if pair is None:
        raise ValueError(
            f"backbone: expected a module, one of {', '.join(known)}, or a pair of name and "
            f"options, got {'the class ' * isinstance(spec, type)}{spec!r}"
        )
    name, options = pair
    if name not in BACKBONES:
        raise ValueError(
            f"backbone: expected a module or one of {', '.join(known)}, "
            f"got {name!r}{did_you_mean(name, known)}{third_party.failed()}"
        )
    only_known(f"backbone {name}", BACKBONES[name], options, first=3)
    try:
        return BACKBONES[name](spatial_dims, in_channels, input_size, **options)
    except OptionalImportError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"backbone {name}: expected what MONAI needs, got {reason}") from error
