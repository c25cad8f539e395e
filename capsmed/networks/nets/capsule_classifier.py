"""A capsule head on anybody's backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from capsmed.networks.backbones import build_backbone
from capsmed.networks.blocks.backbone import Attachment, attach, undisturbed
from capsmed.networks.blocks.capsule_head import CapsuleHead, least_size
from capsmed.networks.blocks.decoder import build_decoder
from capsmed.networks.blocks.levels import Level
from capsmed.networks.blocks.options import check_image_options, only_known
from capsmed.networks.layers.capsules import CapsuleLinear
from capsmed.networks.layers.plain import plain


class CapsuleClassifier(nn.Module):
    """Features of a backbone, primary capsules, class capsules; by default class logits come out.

    The backbone is asked for its features with one image: there is no table of channels. What lies
    behind the features is dropped from the backbone, see `attach`; ``dropped`` names it. Parameters
    are called ``backbone.<its own name>`` and ``head.<name>``.

    Whatever ``level``, `torch.export` and tracing work where the backbone itself can be exported.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        num_classes: number of classes.
        input_size: spatial size of the image.
        backbone: a module, which becomes part of this network; a name in ``BACKBONES``, or a pair
            of name and options. It gives a feature map, a list of maps, tokens, or a pair of one
            of these and a list.
        head: options of `CapsuleHead`, or a module with ``capsules(features)``, which gives poses
            ``[batch, num_classes, dim]`` and scores ``[batch, num_classes]``, and ``score_kind``.
            Such a module is tried on one image's features.
        level: which features. None: what the backbone gives, of a list the last map that has more
            than one location and fits the head's kernel. A number: that one of the list. A dotted
            name: the output of that inner layer.
        decoder: reconstructs the image for the loss: ``"dense"``, ``"conv"``, a pair of name and
            options, or None.
        decoder_widths: the decoder's hidden widths; None for its own default.

    Raises:
        ValueError: features that cannot be used, with the levels that can and their shapes; or a
            wrong option.

    >>> network = CapsuleClassifier(3, 1, 2, (32, 32, 32), backbone="resnet18")
    >>> network.feature_shape, network.score_kind
    ((256, 2, 2, 2), 'logits')
    """

    reference: ClassVar[str] = "Sabour, Frosst & Hinton 2017, arXiv 1710.09829, on any backbone"

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        backbone: nn.Module | str | Sequence[Any],
        head: Mapping[str, Any] | nn.Module | None = None,
        level: Level = None,
        decoder: str | Sequence[Any] | None = None,
        decoder_widths: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        check_image_options(spatial_dims, in_channels, num_classes, input_size)
        options = {} if head is None or isinstance(head, nn.Module) else dict(head)
        only_known("head", CapsuleHead, options, first=4)
        _check_token_grid(options.get("token_grid"), spatial_dims)
        least = least_size(spatial_dims, **options)
        self.num_classes = num_classes
        self.backbone = build_backbone(backbone, spatial_dims, in_channels, input_size)
        attachment = attach(self.backbone, in_channels, input_size, level, least)
        self._tap = attachment.tap
        self.feature_shape = attachment.shape
        self.dropped = attachment.dropped
        if isinstance(head, nn.Module):
            self.head: Any = head
            class_dim = _class_dim(head, attachment, num_classes)
        else:
            self.head = _build_head(attachment, num_classes, options)
            class_dim = self.head.class_dim
        self.decoder = None
        if decoder is not None:
            self.decoder = build_decoder(
                decoder, decoder_widths, num_classes, class_dim, in_channels, input_size
            )

    @property
    def score_kind(self) -> str:
        """What the head's scores are: see `probabilities`."""
        return str(self.head.score_kind)

    @property
    def classes(self) -> CapsuleLinear:
        """The layer that routes to the class capsules; it is the head's, if that has one."""
        layer: CapsuleLinear = self.head.classes
        return layer

    def features(self, image: Tensor) -> Tensor:
        """A feature map ``[batch, channels, *size]`` or tokens ``[batch, tokens, channels]``."""
        return self._tap(self.backbone, plain(image))

    def capsules(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Class capsules of ``image [batch, in_channels, *input_size]``.

        Returns:
            Poses ``[batch, num_classes, class_dim]`` and scores ``[batch, num_classes]``.
        """
        poses, scores = self.head.capsules(self.features(image))
        return poses, scores

    def forward(self, image: Tensor) -> Tensor:
        """Class scores ``[batch, num_classes]``, as ``score_kind`` says."""
        return self.capsules(image)[1]


def _check_token_grid(grid: Sequence[int] | None, spatial_dims: int) -> None:
    if grid is not None and len(grid) != spatial_dims:
        raise ValueError(f"token_grid: expected {spatial_dims} numbers, got {list(grid)}")


def _build_head(found: Attachment, num_classes: int, options: dict[str, Any]) -> CapsuleHead:
    return CapsuleHead(len(found.size), found.channels, num_classes, found.size, **options)


def _class_dim(head: nn.Module, found: Attachment, num_classes: int) -> int:
    """Components of the class capsules that somebody's own head gives for the features found."""
    missing = [name for name in ("capsules", "score_kind") if not hasattr(head, name)]
    if missing:
        raise ValueError(
            f"head: expected options of CapsuleHead, or a module with capsules and score_kind, "
            f"got a {type(head).__name__} without {' and '.join(missing)}"
        )
    like = next(head.parameters(), torch.empty(0))
    features = torch.zeros(1, *found.shape, device=like.device)
    try:
        with undisturbed(head):
            poses, scores = head.capsules(features)  # type: ignore[operator]
        shapes = [list(poses.shape), list(scores.shape)]
    except (
        Exception
    ) as error:  # whatever a foreign module raises, the features' shape belongs to it
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"head: expected capsules(features) to take {list(features.shape)} and give poses and "
            f"scores, got {type(error).__name__}: {reason}"
        ) from error
    if len(shapes[0]) != 3 or shapes != [[1, num_classes, shapes[0][2]], [1, num_classes]]:
        raise ValueError(
            f"head: expected poses [1, {num_classes}, dim] and scores [1, {num_classes}] of one "
            f"image, got {shapes[0]} and {shapes[1]}"
        )
    return int(poses.shape[2])
