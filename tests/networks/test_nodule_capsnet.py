"""The nodule network: small whatever the patch, and the capsnet that it is made of."""

import pytest
import torch

from capsmed.networks import CapsNet, ConvNet, NoduleCapsNet
from capsmed.networks.cost import multiply_adds, parameters
from capsmed.networks.nets.nodule_capsnet import strides
from tests.networks.learning import falls

SIZES = [(16, 16, 16), (32, 32, 32), (40, 40)]
OTHERS = [(13, 22, 9), (48, 48, 24), (64, 64, 64), (8, 11), (28, 28), (96, 64), (224, 224)]


def default(size: tuple[int, ...], **options) -> NoduleCapsNet:
    return NoduleCapsNet(len(size), 1, 2, size, **options)


@pytest.mark.parametrize("size", SIZES + OTHERS)
def test_any_patch_takes_at_most_100_000_parameters_and_10_million_multiply_adds(size):
    network = default(size)
    assert parameters(network) <= 100_000
    assert multiply_adds(network, torch.zeros(1, 1, *size)) <= 10_000_000


def test_a_volume_takes_84_200_parameters_and_3_932_160_multiply_adds():
    convolutions = 27 * (1 * 8 + 8 * 16 + 16 * 32)
    norms, primary, votes = 2 * (8 + 16 + 32), 32 * (32 + 1), 4**3 * 4 * 8 * 2 * 16
    assert parameters(default((16,) * 3)) == convolutions + norms + primary + votes == 84_200
    products = 27 * (16**3 * 8 + 8**3 * 8 * 16 + 4**3 * 16 * 32) + 4**3 * 32 * 32
    routing = 5 * votes  # three passes add up votes, two measure their agreement
    for size in ((16,) * 3, (32,) * 3):
        found = multiply_adds(default(size), torch.zeros(1, 1, *size))
        assert found == products + routing == 3_932_160


@pytest.mark.parametrize(("size", "grid"), [(16, 4), (32, 4), (20, 3), (64, 4)])
def test_a_volume_is_halved_until_four_locations_an_axis_are_left(size, grid):
    assert default((size,) * 3).grid == (grid,) * 3


def test_the_last_stages_halve_first_and_the_first_takes_the_rest():
    assert strides((5, 16, 128), stages=2) == [(1, 2, 16), (2, 2, 2)]
    assert strides((40, 20), stages=4) == [(2, 1), (1, 1), (2, 2), (1, 1), (2, 2)]


def test_a_first_stage_of_large_stride_sees_every_voxel():
    first = default((32, 64, 16)).encoder.stages[0][0]
    assert first.stride == (2, 4, 1) and first.kernel_size == (3, 5, 3)


def test_at_16_voxels_it_is_the_capsnet_that_its_options_spell_out():
    options = {"channels": [8, 16, 32], "kernel_sizes": 3, "strides": [1, 2, 2], "padding": "same"}
    capsules = {"primary_capsules": 4, "primary_kernel": 1, "primary_stride": 1}
    same = CapsNet(3, 1, 2, (16,) * 3, **options, norm="batch", **capsules, decoder=None)
    network, volume = default((16,) * 3).eval(), torch.rand(2, 1, 16, 16, 16)
    same.load_state_dict(network.state_dict())
    torch.testing.assert_close(same.eval()(volume), network(volume))


@pytest.mark.parametrize("size", SIZES)
def test_an_ordinary_head_gets_the_same_encoder(size):
    options = NoduleCapsNet.encoder_options(len(size), size, dropout=0.1)
    ordinary, own = ConvNet(len(size), 1, 2, size, **options), default(size, dropout=0.1)
    assert str(ordinary.encoder) == str(own.encoder)


def test_options_change_its_channels_and_capsules():
    options = {"channels": (4, 6), "kernel_sizes": 5, "primary_capsules": 3, "decoder": "dense"}
    network = default((16, 9, 12), **options, norm=None)
    assert network.grid == (4, 3, 3) and network.classes.weight.shape == (2, 16, 8, 3 * 36)
    poses, _ = network.capsules(torch.rand(1, 1, 16, 9, 12))
    assert network.decoder(poses, torch.eye(2)[:1]).shape == (1, 1, 16, 9, 12)


def test_an_image_of_other_axes_is_refused():
    with pytest.raises(ValueError, match="input_size: expected 3 numbers, one an axis, got"):
        NoduleCapsNet(3, 1, 2, (32, 32))


@pytest.mark.parametrize("size", [(16, 16, 16), (20, 20)])
def test_it_learns(size):
    assert falls(default(size), size)


@pytest.mark.parametrize("channels", [(), 8])
def test_stages_that_are_none_or_no_list_are_refused(channels):
    with pytest.raises(ValueError, match="channels: expected one number a stage, got"):
        NoduleCapsNet(3, 1, 2, (16, 16, 16), channels=channels)
