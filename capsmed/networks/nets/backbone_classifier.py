"""A backbone with an ordinary head, to compare the capsule head with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from capsmed.networks.backbones import build_backbone
from capsmed.networks.blocks.backbone import attach
from capsmed.networks.blocks.levels import Level
from capsmed.networks.blocks.options import check_image_options
from capsmed.networks.layers.plain import plain


class BackboneClassifier(nn.Module):
    """Features of a backbone, their mean over all locations, one linear layer to class logits.

    That is the head which DenseNet and ResNet have themselves: with the same weights
    ``"densenet121"`` gives MONAI's ``DenseNet121``, digit by digit. MONAI's EfficientNet has
    another 1x1 convolution before it.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        num_classes: number of classes.
        input_size: spatial size of the image.
        backbone: see `CapsuleClassifier`.
        level: see `CapsuleClassifier`; None here takes the last map of a list whatever its size.
        dropout: dropout before the linear layer.

    Raises:
        ValueError: features that cannot be used, with the levels that can and their shapes.
    """

    score_kind = "logits"
    decoder = None
    reference: ClassVar[str] = "Lin, Chen & Yan 2014, arXiv 1312.4400 (global average pooling)"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        backbone: nn.Module | str | Sequence[Any],
        level: Level = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_image_options(spatial_dims, in_channels, num_classes, input_size)
        self.num_classes = num_classes
        self.backbone = build_backbone(backbone, spatial_dims, in_channels, input_size)
        attachment = attach(self.backbone, in_channels, input_size, level, locations=1)
        self._tap = attachment.tap
        self.feature_shape = attachment.shape
        self.dropped = attachment.dropped
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(attachment.channels, num_classes)

    def features(self, image: Tensor) -> Tensor:
        """A feature map ``[batch, channels, *size]`` or tokens ``[batch, tokens, channels]``."""
        return self._tap(self.backbone, plain(image))

    def forward(self, image: Tensor) -> Tensor:
        """Class logits ``[batch, num_classes]`` of ``image [batch, in_channels, *input_size]``."""
        features = self.features(image)
        tokens = features.ndim == 3
        return self.head(self.dropout(features.mean(1) if tokens else features.flatten(2).mean(2)))
