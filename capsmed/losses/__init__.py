"""Losses of capsule networks and of those they are compared with, by name."""

from torch import nn

from capsmed.losses.capsule import CapsuleLoss
from capsmed.losses.cross_entropy import ScoresCrossEntropy
from capsmed.losses.margin import MarginLoss

LOSSES: dict[str, type[nn.Module]] = {
    "capsule": CapsuleLoss,
    "margin": MarginLoss,
    "cross_entropy": ScoresCrossEntropy,
}

__all__ = ["LOSSES", "CapsuleLoss", "MarginLoss", "ScoresCrossEntropy"]
