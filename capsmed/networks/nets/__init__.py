"""Whole networks, by name.

Every network is built from ``spatial_dims, in_channels, num_classes, input_size`` and its own
options, turns an image into one tensor of class scores and declares its ``score_kind``.
"""

from capsmed.networks.nets.backbone_classifier import BackboneClassifier
from capsmed.networks.nets.baseline_cnn import BaselineCNN
from capsmed.networks.nets.capsnet import CapsNet
from capsmed.networks.nets.capsule_classifier import CapsuleClassifier
from capsmed.networks.nets.conv_net import ConvNet
from capsmed.networks.nets.deep_caps import DeepCaps
from capsmed.networks.nets.efficient_capsnet import EfficientCapsNet
from capsmed.networks.nets.fast_capsnet import FastCapsNet3d
from capsmed.networks.nets.matrix_capsnet import MatrixCapsNet
from capsmed.networks.nets.nodule_capsnet import NoduleCapsNet
from capsmed.networks.registry import NETWORKS, register_network

register_network("capsnet", CapsNet)
register_network("baseline_cnn", BaselineCNN)
register_network("conv_net", ConvNet)
register_network("deep_caps", DeepCaps)
register_network("efficient_capsnet", EfficientCapsNet)
register_network("fast_capsnet", FastCapsNet3d)
register_network("matrix_capsnet", MatrixCapsNet)
register_network("nodule_capsnet", NoduleCapsNet)
register_network("capsule_classifier", CapsuleClassifier)
register_network("backbone_classifier", BackboneClassifier)

__all__ = [
    "NETWORKS",
    "BackboneClassifier",
    "BaselineCNN",
    "CapsNet",
    "CapsuleClassifier",
    "ConvNet",
    "DeepCaps",
    "EfficientCapsNet",
    "FastCapsNet3d",
    "MatrixCapsNet",
    "NoduleCapsNet",
    "register_network",
]
