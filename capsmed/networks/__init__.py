"""Capsule layers, routings and networks as MONAI components; importing this registers them."""

from capsmed.networks.layers import (
    CapsuleLinear,
    DenseVotes,
    LinearVotes,
    PrimaryCapsules,
    Squash,
    Votes,
    squash,
)
from capsmed.networks.nets import NETWORKS, BaselineCNN, CapsNet, ConvNet, register_network
from capsmed.networks.routing import (
    BaseRouting,
    DynamicRouting,
    IterativeRouting,
    Routing,
    UniformRouting,
    register,
)
from capsmed.networks.scores import probabilities
from capsmed.networks.wrapper import TrainingWrapper

__all__ = [
    "NETWORKS",
    "BaseRouting",
    "BaselineCNN",
    "CapsNet",
    "CapsuleLinear",
    "ConvNet",
    "DenseVotes",
    "DynamicRouting",
    "IterativeRouting",
    "LinearVotes",
    "PrimaryCapsules",
    "Routing",
    "Squash",
    "TrainingWrapper",
    "UniformRouting",
    "Votes",
    "probabilities",
    "register",
    "register_network",
    "squash",
]
