"""Capsule layers: squash, the votes operator, primary and fully connected capsules."""

from capsmed.networks.layers.capsules import CapsuleLinear, PrimaryCapsules
from capsmed.networks.layers.squash import Squash, squash
from capsmed.networks.layers.votes import DenseVotes, LinearVotes, Votes

__all__ = [
    "CapsuleLinear",
    "DenseVotes",
    "LinearVotes",
    "PrimaryCapsules",
    "Squash",
    "Votes",
    "squash",
]
