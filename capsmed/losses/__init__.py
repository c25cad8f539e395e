"""Losses of capsule networks and of those they are compared with, by name."""

from torch import nn

from capsmed.losses.capsule import CapsuleLoss
from capsmed.losses.class_weights import ClassWeights, count_classes
from capsmed.losses.cross_entropy import ScoresCrossEntropy
from capsmed.losses.margin import MarginLoss
from capsmed.losses.spread import SpreadLoss

LOSSES: dict[str, type[nn.Module]] = {
    "capsule": CapsuleLoss,
    "margin": MarginLoss,
    "spread": SpreadLoss,
    "cross_entropy": ScoresCrossEntropy,
}

__all__ = [
    "LOSSES",
    "CapsuleLoss",
    "ClassWeights",
    "MarginLoss",
    "ScoresCrossEntropy",
    "SpreadLoss",
    "count_classes",
    "register_loss",
]


def register_loss(name: str, cls: type[nn.Module]) -> None:
    """Make ``cls`` known as a loss called ``name``.

    Args:
        name: an identifier.
        cls: built from its options alone; called with the output of `TrainingWrapper` and the
            target. Where it has ``score_kinds``, networks of other scores are refused.

    Raises:
        ValueError: the name belongs to another class.
    """
    taken = LOSSES.setdefault(name, cls)
    places = [f"{part.__module__}.{part.__qualname__}" for part in (taken, cls)]
    if places[0] != places[1]:
        raise ValueError(
            f"losses: expected a free name, got {name!r}, which is {places[0]}; "
            f"register {places[1]} under another name"
        )
