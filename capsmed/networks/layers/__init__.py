"""Capsule layers: squash, the votes operator, primary and fully connected capsules."""

from capsmed.networks.layers.capsule_conv import CapsuleConv
from capsmed.networks.layers.capsules import CapsuleLinear, PrimaryCapsules
from capsmed.networks.layers.squash import Squash, lengths, squash
from capsmed.networks.layers.votes import DenseVotes, LinearVotes, Votes

__all__ = [
    "CapsuleConv",
    "CapsuleLinear",
    "DenseVotes",
    "LinearVotes",
    "PrimaryCapsules",
    "Squash",
    "Votes",
    "lengths",
    "squash",
]
