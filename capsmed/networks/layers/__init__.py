"""Capsule layers: squash, the votes operator, primary and fully connected capsules."""

from capsmed.networks.layers.capsule_conv import CapsuleConv
from capsmed.networks.layers.capsules import CapsuleLinear, PrimaryCapsules
from capsmed.networks.layers.coordinates import CoordinateVotes, coordinates
from capsmed.networks.layers.depthwise import DepthwisePrimaryCapsules
from capsmed.networks.layers.dropout import CapsuleDropout
from capsmed.networks.layers.matrix_classes import MatrixCapsuleClasses
from capsmed.networks.layers.matrix_primary import MatrixPrimaryCapsules
from capsmed.networks.layers.matrix_votes import MatrixVotes
from capsmed.networks.layers.plain_conv import PlainCapsuleConv
from capsmed.networks.layers.residual import CapsuleResidual
from capsmed.networks.layers.shared_conv import SharedCapsuleConv
from capsmed.networks.layers.squash import Squash, exponential_squash, lengths, squash
from capsmed.networks.layers.votes import DenseVotes, LinearVotes, Votes

__all__ = [
    "CapsuleConv",
    "CapsuleDropout",
    "CapsuleLinear",
    "CapsuleResidual",
    "CoordinateVotes",
    "DenseVotes",
    "DepthwisePrimaryCapsules",
    "LinearVotes",
    "MatrixCapsuleClasses",
    "MatrixPrimaryCapsules",
    "MatrixVotes",
    "PlainCapsuleConv",
    "PrimaryCapsules",
    "SharedCapsuleConv",
    "Squash",
    "Votes",
    "coordinates",
    "exponential_squash",
    "lengths",
    "squash",
]
