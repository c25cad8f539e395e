"""Multiply-adds of networks small enough to count by hand."""

import torch
from torch import nn

from capsmed.networks import CapsNet
from capsmed.networks.cost import multiply_adds, parameters
from capsmed.networks.layers.spectral_conv import SpectralConv2d
from capsmed.networks.tuning import use_convolutions

OPTIONS = {
    "channels": (3,),
    "kernel_sizes": 5,
    "strides": 2,
    "primary_capsules": 2,
    "primary_dim": 7,
    "primary_kernel": 3,
    "class_dim": 11,
}


def test_convolutions_count_at_each_place_and_by_their_groups():
    network = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5)
    )
    by_hand = 2 * 2 * 6 * (9 * 1) + 24 * 5
    assert multiply_adds(network, torch.rand(1, 2, 4, 4)) == by_hand
    assert multiply_adds(network, torch.rand(7, 2, 4, 4)) == 7 * by_hand


def test_a_capsule_network_counts_with_every_pass_of_its_routing():
    network = CapsNet(2, 1, 4, (15, 13), **OPTIONS, decoder=None)
    encoder = 6 * 5 * 3 * 25  # 15x13 pixels, kernel 5, stride 2
    primary = 2 * 2 * 14 * (3 * 9)  # 6x5 places, kernel 3, stride 2
    votes = (2 * 4) * 7 * 4 * 11
    assert multiply_adds(network, torch.rand(1, 1, 15, 13)) == encoder + primary + 5 * votes
    uniform = CapsNet(2, 1, 4, (15, 13), **OPTIONS, decoder=None, routing="uniform")
    assert multiply_adds(uniform, torch.rand(1, 1, 15, 13)) == encoder + primary + votes


def test_the_network_stays_as_it_is():
    network = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)).train()
    multiply_adds(network, torch.rand(1, 3))
    assert network[0].training and network[1].training
    assert network[1].num_batches_tracked == 0


def test_a_convolution_by_fourier_coefficients_counts_as_a_direct_one():
    network, image = nn.Sequential(nn.Conv2d(2, 3, 5)), torch.rand(1, 2, 11, 9)
    use_convolutions(network, {"0": "spectral"})
    assert multiply_adds(network, image) == 7 * 5 * 3 * (2 * 25)
    assert isinstance(network[0], SpectralConv2d)


def test_the_decoders_parameters_are_not_the_networks():
    with_decoder = CapsNet(2, 1, 4, (15, 13), **OPTIONS, decoder_widths=[5])
    assert parameters(with_decoder) == parameters(
        CapsNet(2, 1, 4, (15, 13), **OPTIONS, decoder=None)
    )
    assert parameters(nn.Linear(3, 2)) == 8
