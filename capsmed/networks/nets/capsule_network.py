"""What the capsule networks have alike: class capsules as scores, and a decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from capsmed.networks.blocks.decoder import build_decoder
from capsmed.networks.blocks.options import at_least_one


class CapsuleNetwork(nn.Module, ABC):
    """A network whose scores are the activations of its class capsules.

    A subclass builds its layers, the last of which is called ``classes``, and writes `capsules`.

    Attributes:
        reference: where the network is published.
        score_kind: what its scores are, see `probabilities`.
        num_classes: number of class capsules.
        decoder: called with poses and a mask of classes, see `DenseDecoder`; or None.

    Args:
        in_channels: channels of the image.
        num_classes: number of class capsules.
        input_size: spatial size of the image.
        class_dim: components of a class capsule.
        decoder: ``"dense"``, ``"conv"``, a pair of name and options, or None.
        decoder_widths: the decoder's hidden widths; None for its own default.
        class_independent: the decoder sees the shown capsule, but not of which class it is.

    Raises:
        ValueError: there are no classes, or the decoder's option is wrong.
    """

    reference: ClassVar[str]
    score_kind = "lengths"

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        input_size: Sequence[int],
        class_dim: int,
        decoder: str | Sequence[Any] | None,
        decoder_widths: Sequence[int] | None,
        class_independent: bool = False,
    ) -> None:
        super().__init__()
        at_least_one(in_channels=in_channels, num_classes=num_classes, class_dim=class_dim)
        self.num_classes = num_classes
        seen = 1 if class_independent else num_classes
        built = build_decoder(decoder, decoder_widths, seen, class_dim, in_channels, input_size)
        self.decoder = ClassIndependentDecoder(built) if built and class_independent else built

    @abstractmethod
    def capsules(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Class capsules of ``image [batch, in_channels, *input_size]``.

        Returns:
            Poses ``[batch, num_classes, class_dim]`` and activations ``[batch, num_classes]``.
        """

    def forward(self, image: Tensor) -> Tensor:
        """Class scores ``[batch, num_classes]``: the class capsules' activations."""
        return self.capsules(image)[1]


class ClassIndependentDecoder(nn.Module):
    """Shows a decoder the sum of the masked capsules, so that it cannot tell the class.

    Its components then mean the same for all classes. Rajasegaran et al. 2019 (DeepCaps, arXiv
    1904.09546), section 3.4.

    Args:
        decoder: built for one class.
    """

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, poses: Tensor, mask: Tensor) -> Tensor:
        """See `DenseDecoder.forward`."""
        shown = (poses * mask.to(poses.dtype).unsqueeze(2)).sum(1, keepdim=True)
        image: Tensor = self.decoder(shown, shown.new_ones(shown.shape[:2]))
        return image
