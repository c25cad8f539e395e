"""Fast CapsNet: the paper's sizes, the small geometry, and that it learns."""

import pytest
import torch

from capsmed.networks import CapsNet, ConsistentRouting, FastCapsNet3d
from tests.networks.learning import falls, numbers


def papers(**options) -> FastCapsNet3d:
    with torch.device("meta"):  # its sizes without its 200 MB
        return FastCapsNet3d(3, 1, 2, (32, 32, 32), **options)


def test_the_papers_network_has_52_2_million_parameters():
    convolution = 256 * (9**3 + 1)  # 32 voxels an axis become 24
    primary = 256 * (256 * 9**3 + 1)  # 24 become 8
    votes = 8**3 * 256 * 2 * 16
    expected = convolution + primary + votes
    assert numbers(papers(decoder=None)) == expected == 52_157_184
    assert papers(decoder=None).grid == (8, 8, 8)


def test_it_has_52_2_million_with_the_papers_decoder_and_with_ours():
    transposed = 16 * (18 * 4**3) + 16 + 16 * 4**3 + 1  # votes and mask: 18 channels
    linear = 4 * 8**3 * (2 * 16 + 1)
    convolutions = 16 * (4 * 27 + 1) + 16 * (16 * 27 + 1) + 16 * 27 + 1
    assert round((52_157_184 + transposed) / 1e6, 1) == 52.2
    assert numbers(papers()) == 52_157_184 + linear + convolutions == 52_233_873


def test_the_small_geometry_has_277_thousand_parameters_at_the_papers_size():
    convolutions = 27 * 16 + 27 * 16 * 32 + 2 * (16 + 32)
    primary, votes = 64 * (27 * 32 + 1), 4**3 * 8 * 8 * 2 * 16
    decoder = 52_233_873 - 52_157_184
    network = FastCapsNet3d(3, 1, 2, (32, 32, 32), geometry="small")
    assert numbers(network) == convolutions + primary + votes + decoder == 277_473


def test_it_is_capsnet_with_consistent_routing():
    network = FastCapsNet3d(3, 1, 2, (9, 12, 10), "small", decoder=None)
    assert isinstance(network.classes.routing, ConsistentRouting)
    options = {"channels": (16, 32), "kernel_sizes": 3, "strides": 2, "padding": "same"}
    options |= {"norm": "batch", "primary_capsules": 8, "primary_kernel": 3, "decoder": None}
    same = CapsNet(3, 1, 2, (9, 12, 10), **options, primary_padding="same", routing="consistent")
    same.load_state_dict(network.state_dict())
    volume = torch.rand(1, 1, 9, 12, 10)
    torch.testing.assert_close(network.eval()(volume), same.eval()(volume))


@pytest.mark.parametrize("size", [(21, 16), (13, 9, 20)])
def test_the_small_geometry_takes_any_size_and_its_decoder_meets_it(size):
    network = FastCapsNet3d(len(size), 2, 3, size, "small").eval()
    poses, scores = network.capsules(torch.rand(1, 2, *size))
    assert poses.shape == (1, 3, 16) and scores.shape == (1, 3)
    assert network.decoder(poses, torch.eye(3)[:1]).shape == (1, 2, *size)


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (
            (32, 8, 32),
            {},
            r"stage 1 .* \[9, 9, 9\], got \[32, 8, 32\]; use a larger input, or geometry: small$",
        ),
        ((32, 16, 32), {}, r"primary capsules: expected .* \[9, 9, 9\], got \[24, 8, 24\]"),
        ((32, 32, 32), {"geometry": "tiny"}, "geometry: expected 'paper' or 'small', got 'tiny'"),
    ],
)
def test_too_small_a_volume_or_another_geometry_is_refused(size, options, message):
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        FastCapsNet3d(3, 1, 2, size, **options)


def test_it_learns():
    assert falls(FastCapsNet3d(3, 1, 2, (8, 8, 8), "small", decoder=None), (8, 8, 8))
