"""Whole networks, by name.

Every network is built from ``spatial_dims, in_channels, num_classes, input_size`` and its own
options, turns an image into one tensor of class scores and declares its ``score_kind``.
"""

from capsmed.networks.nets.baseline_cnn import BaselineCNN
from capsmed.networks.nets.capsnet import CapsNet
from capsmed.networks.nets.conv_net import ConvNet
from capsmed.networks.registry import NETWORKS, register_network

register_network("capsnet", CapsNet)
register_network("baseline_cnn", BaselineCNN)
register_network("conv_net", ConvNet)

__all__ = ["NETWORKS", "BaselineCNN", "CapsNet", "ConvNet", "register_network"]
