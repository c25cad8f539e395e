"""Efficient-CapsNet: the paper's sizes, any other size, and that it learns."""

import pytest
import torch

from capsmed.networks import DepthwisePrimaryCapsules, EfficientCapsNet, exponential_squash
from tests.networks.learning import falls, numbers

SMALL = {"channels": (6, 8), "kernel_sizes": 3, "strides": (1, 2), "primary_dim": 4}


def test_the_papers_network_has_161_824_parameters():
    convolutions = sum(o * (i * k * k + 1) for i, o, k in PAPERS_CONVOLUTIONS)
    norms = 2 * (32 + 64 + 64 + 128)  # scale and shift; the running statistics do not learn
    primary = 128 * (9 * 9 + 1)
    votes, priors = 16 * 10 * 8 * 16, 16 * 10
    expected = convolutions + norms + primary + votes + priors
    assert expected == 161_824
    assert numbers(EfficientCapsNet(2, 1, 10, (28, 28), decoder=None)) == expected


PAPERS_CONVOLUTIONS = [(1, 32, 5), (32, 64, 3), (64, 64, 3), (64, 128, 3)]


def test_with_its_decoder_it_has_1_573_168_parameters():
    decoder = 160 * 512 + 512 + 512 * 1024 + 1024 + 1024 * 784 + 784
    assert numbers(EfficientCapsNet(2, 1, 10, (28, 28))) == 161_824 + decoder == 1_573_168


@pytest.mark.parametrize("size", [(15, 22), (11, 9, 14)])
def test_each_type_has_one_capsule_that_sees_the_whole_image_of_any_size(size):
    network = EfficientCapsNet(len(size), 2, 3, size, **SMALL).eval()
    assert network.grid == (1,) * len(size)
    poses, scores = network.capsules(torch.rand(1, 2, *size))
    assert poses.shape == (1, 3, 16) and scores.shape == (1, 3)
    assert network.decoder(poses, torch.eye(3)[:1]).shape == (1, 2, *size)


def test_a_smaller_primary_kernel_gives_capsules_on_a_grid():
    network = EfficientCapsNet(2, 1, 3, (15, 22), **SMALL, primary_kernel=(3, 5))
    assert network.grid == (4, 5)  # maps of 6 by 9
    assert network.classes.weight.shape[3] == 2 * 4 * 5


def test_a_depthwise_capsule_is_made_of_its_own_channels():
    layer, features = DepthwisePrimaryCapsules(2, 15, 5, (4, 6)), torch.randn(2, 15, 4, 6)
    kernels, bias = layer.conv.weight[:, 0], layer.conv.bias
    kind, types = 1, 3
    expected = (features * kernels).sum((2, 3))[:, kind::types] + bias[kind::types]
    torch.testing.assert_close(layer(features)[:, kind], exponential_squash(expected))


def test_channels_that_do_not_divide_into_capsules_are_refused():
    with pytest.raises(ValueError, match="dim: expected a divisor of the 8 channels, got 3"):
        DepthwisePrimaryCapsules(2, 8, 3)


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (
            (9, 28),
            {},
            r"stage 4 .* \[9, 28\]: .* \[3, 3\], got \[1, 20\]; .* kernel_sizes or strides$",
        ),
        (
            (20, 28),
            {"primary_kernel": 9},
            r"\[9, 9\], got \[5, 9\]; .* primary_kernel, or none$",
        ),
        ((28, 28), {"channels": ()}, "channels: expected at least one stage, got none"),
        ((28, 28), {"strides": (1, 2)}, "strides: expected 1 or 4 values .* got 2"),
    ],
)
def test_too_small_an_image_or_a_wrong_list_is_refused_with_sizes(size, options, message):
    with pytest.raises(ValueError, match=message):
        EfficientCapsNet(2, 1, 10, size, **options)


def test_it_learns():
    assert falls(EfficientCapsNet(2, 1, 2, (12, 12), **SMALL, decoder=None), (12, 12))
