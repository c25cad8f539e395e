"""The matrix capsule network: the paper's sizes, any other size, and that it learns."""

import pytest
import torch

from capsmed.networks import MatrixCapsNet, MatrixPrimaryCapsules
from tests.networks.learning import falls, numbers

SMALL = {"channels": 6, "types": (2, 3, 3), "pose_dim": 9}


def by_layer(image: int, a: int, b: int, c: int, d: int, classes: int) -> dict[str, int]:
    """Parameters of the layers in figure 1 of the paper; two biases a type for EM routing."""
    return {
        "convolution": a * (image * 5 * 5 + 1),
        "primary": b * (4 * 4 + 1) * (a + 1),
        "first": 3 * 3 * b * c * 4 * 4 + 2 * c,
        "second": 3 * 3 * c * d * 4 * 4 + 2 * d,
        "classes": d * classes * 4 * 4 + 2 * classes,
    }


def test_the_papers_smaller_network_has_68_thousand_parameters():
    expected = sum(by_layer(2, 64, 8, 16, 16, 5).values())  # smallNORB: stereo pairs
    network = MatrixCapsNet(2, 2, 5, (32, 32))
    assert numbers(network) == expected == 68_754
    assert network.grids == [(14, 14), (6, 6), (4, 4)]  # as in the paper's figure


def test_the_papers_larger_network_has_317_thousand_where_it_says_310():
    expected = sum(by_layer(2, 32, 32, 32, 32, 5).values())
    network = MatrixCapsNet(2, 2, 5, (32, 32), channels=32, types=(32, 32, 32))
    assert numbers(network) == expected == 317_194
    transforms = 2 * 9 * 32 * 32 * 16 + 32 * 5 * 16
    assert transforms == 297_472 < 310_000 < expected


@pytest.mark.parametrize("size", [(19, 24), (21, 23, 20)])
def test_it_takes_any_size_and_its_decoder_meets_it(size):
    network = MatrixCapsNet(len(size), 2, 4, size, **SMALL, decoder="conv").eval()
    poses, scores = network.capsules(torch.rand(1, 2, *size))
    assert poses.shape == (1, 4, 9) and scores.shape == (1, 4)
    assert network.decoder(poses, torch.eye(4)[:1]).shape == (1, 2, *size)


def test_primary_capsules_have_poses_as_they_are_and_logistic_activations():
    layer, features = MatrixPrimaryCapsules(2, 5, types=3, dim=4), torch.randn(2, 5, 6, 7)
    poses, activations = layer(features)
    maps, kind, row, column = layer.conv(features), 2, 3, 6
    place = kind * 6 * 7 + row * 7 + column
    torch.testing.assert_close(poses[:, place], maps[:, kind : 4 * 3 : 3, row, column])
    torch.testing.assert_close(activations[:, place], maps[:, 4 * 3 + kind, row, column].sigmoid())


@pytest.mark.parametrize("routing", ["dynamic", "self_attention", ["em", {"iterations": 2}]])
def test_any_routing_may_be_named(routing):
    network = MatrixCapsNet(2, 1, 3, (19, 19), **SMALL, routing=routing)
    assert network(torch.rand(2, 1, 19, 19)).isfinite().all()


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (
            (4, 32),
            {},
            r"stage 1 .* \[4, 32\]: .* \[5, 5\], got \[4, 32\]; .* smaller kernel_s",
        ),
        ((14, 32), {}, r"capsule convolution: .* at least \[3, 3\], got \[2, 6\]; .* or strides$"),
        ((32, 32), {"pose_dim": 10}, "expected a square such as 16, got 10"),
        ((32, 32), {"types": ()}, "types: expected those of the primary .*, got none"),
        ((32, 32), {"strides": (1, 2, 1)}, r"strides: .* 2 values \(one for each capsule layer\)"),
    ],
)
def test_too_small_an_image_or_a_wrong_option_is_refused(size, options, message):
    with pytest.raises(ValueError, match=message):
        MatrixCapsNet(2, 1, 3, size, **options)


def test_it_learns():
    assert falls(MatrixCapsNet(2, 1, 2, (19, 19), **SMALL), (19, 19))
