"""The module that training runs: everything that needs a gradient, in one forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from capsmed.losses.targets import multi_hot
from capsmed.networks.layers.plain import plain
from capsmed.networks.parts import freeze, rest


class TrainingWrapper(nn.Module):
    """Scores, poses and reconstruction of a network in one call.

    It is this module that distributed training wraps, because gradients past a wrapped module's
    own forward are not synchronised. In a plain MONAI ``SupervisedTrainer`` give it the label
    with ``PrepareBatchExtraInput(extra_keys="label")``; its output goes to `CapsuleLoss`.

    Args:
        network: gives class scores; where it also has ``capsules`` and a ``decoder``, these run.
        frozen: names of the network's parts that do not learn, such as ``["backbone"]``: their
            parameters need no gradient, and they stay in evaluation mode while the rest trains.

    Raises:
        ValueError: a name in ``frozen`` is unknown, or nothing is left to learn.
    """

    def __init__(self, network: nn.Module, frozen: Sequence[str] = ()) -> None:
        super().__init__()
        self.network = network
        self.frozen = tuple(frozen)
        freeze(network, self.frozen)

    def train(self, mode: bool = True) -> TrainingWrapper:
        """Set training or evaluation mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        rest(self.network, self.frozen)
        return self

    @property
    def score_kind(self) -> str:
        """What the network's scores are: see `probabilities`."""
        return str(self.network.score_kind)

    def forward(self, image: Tensor, target: Tensor | None = None) -> dict[str, Tensor]:
        """Run the network.

        Args:
            image: ``[batch, channels, ...]``.
            target: class indices ``[batch]`` or ``[batch, 1]``, or multi-hot
                ``[batch, classes]``; the decoder then sees the capsules of the true classes.
                None: it sees the most active one.

        Returns:
            ``scores [batch, classes]`` and ``image``; of capsule networks also ``poses
            [batch, classes, dim]``, and with a decoder ``reconstruction``, shaped as ``image``.
        """
        image = plain(image)
        capsules: Any = getattr(self.network, "capsules", None)
        if capsules is None:
            return {"scores": self.network(image), "image": image}
        poses, scores = capsules(image)
        output = {"scores": scores, "poses": poses, "image": image}
        decoder = getattr(self.network, "decoder", None)
        if decoder is not None:
            output["reconstruction"] = decoder(poses, _mask(scores, target))
        return output


def _mask(scores: Tensor, target: Tensor | None) -> Tensor:
    classes = scores.shape[1]
    if target is None:
        return F.one_hot(scores.argmax(dim=1), classes).to(scores.dtype)
    return multi_hot(plain(target), classes).to(scores.dtype)
