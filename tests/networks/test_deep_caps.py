"""DeepCaps: the released sizes, its routed layer, any other size, and that it learns."""

import pytest
import torch

from capsmed.networks import DeepCaps, DenseVotes, Routing, SharedCapsuleConv
from tests.networks.learning import falls, numbers

SMALL = {"channels": 8, "types": 3, "dims": (4, 5, 5), "class_dim": 6}


def test_the_released_network_has_8_441_920_parameters_without_decoder():
    first = 128 * (9 + 1) + 2 * 128  # convolution and batch norm
    four, eight = 32 * 4, 32 * 8  # components at a location
    cells = 9 * four * (128 + 3 * four) + 9 * eight * (four + 3 * eight) + 9 * eight * 4 * eight
    last = 9 * eight * 3 * eight + 9 * 8 * eight  # the routed one sees 8 components, not all
    votes = (4 * 4 + 2 * 2) * 32 * 8 * 10 * 32
    expected = first + cells + last + votes
    biases = eight + 10 * 32
    assert numbers(DeepCaps(2, 1, 10, (28, 28), decoder=None)) == expected == 8_441_344
    released = DeepCaps(2, 1, 10, (28, 28), decoder=None, bias=True)
    assert numbers(released) == expected + biases == 8_441_920


@pytest.mark.parametrize("size", [(9, 14), (6, 9, 11), (3, 1)])
def test_it_takes_any_size_and_its_decoder_meets_it(size):
    network = DeepCaps(len(size), 2, 4, size, **SMALL).eval()
    poses, scores = network.capsules(torch.rand(1, 2, *size))
    assert poses.shape == (1, 4, 6) and scores.shape == (1, 4)
    assert network.decoder(poses, torch.eye(4)[:1]).shape == (1, 2, *size)


def test_the_last_two_cells_go_to_the_classes_where_their_capsules_are_alike():
    network = DeepCaps(2, 1, 3, (16, 24), **SMALL, decoder=None)
    assert network.grids == [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert network.classes.weight.shape[3] == 3 * (4 * 6 + 2 * 3)
    alone = DeepCaps(2, 1, 3, (16, 24), **SMALL | {"dims": (4, 5)}, decoder=None)
    assert alone.grid == (4, 6) and alone.classes.weight.shape[3] == 3 * 4 * 6


def test_its_decoder_cannot_tell_the_class():
    network = DeepCaps(2, 1, 3, (8, 8), **SMALL).eval()
    poses = torch.randn(1, 1, 6).expand(1, 3, 6)
    first, second = (network.decoder(poses, torch.eye(3)[i : i + 1]) for i in (0, 1))
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, network.decoder(2 * poses, torch.eye(3)[:1]))


def shared(size, competition="location", routing="dynamic"):
    """A shared layer, poses, and its votes [batch, locations, in, out, dim] by convolution."""
    layer = SharedCapsuleConv(
        len(size), 3, 2, 4, 5, 3, padding=1, routing=routing, competition=competition
    )
    poses = torch.rand(2, 3 * torch.Size(size).numel(), 4)
    maps = poses.view(2, 3, *size, 4).movedim(-1, 2)
    votes = torch.stack([layer.conv(maps[:, kind]).flatten(2) for kind in range(3)], 1)
    return layer, poses, votes.movedim(3, 1).unflatten(3, (2, 5))


@pytest.mark.parametrize("size", [(4, 3), (2, 3, 4)])
def test_every_type_votes_with_the_same_convolution_and_is_routed_at_each_location(size):
    layer, poses, votes = shared(size)
    found = layer(poses, grid=size)[0].unflatten(1, (2, -1))
    for location in range(votes.shape[1]):
        expected = Routing["dynamic"](3, 2, 4, 5)(DenseVotes(votes[:, location]))[0]
        torch.testing.assert_close(found[:, :, location], expected)


def test_over_the_map_a_type_is_shared_out_among_the_capsules_of_all_locations():
    layer, poses, votes = shared((4, 3), "map")
    found = layer(poses, grid=(4, 3))[0]
    together = votes.permute(0, 2, 3, 1, 4).flatten(2, 3)  # batch, in, out x locations, dim
    expected = Routing["dynamic"](3, 24, 4, 5)(DenseVotes(together))[0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", sorted(Routing.names))
@pytest.mark.parametrize("competition", ["location", "map"])
def test_any_routing_may_route_a_cell(name, competition):
    layer, poses, _ = shared((4, 3), competition, name.lower())
    higher, activations = layer(poses, grid=(4, 3))
    assert higher.shape == (2, 24, 5) and activations.shape == (2, 24)
    assert higher.isfinite().all() and activations.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": ()}, "dims: expected at least one cell, got none"),
        ({"dims": (4, 0)}, "dims: expected 1 or more, got 0"),
        ({"types": 0}, "types: expected 1 or more, got 0"),
        ({"class_dim": 0}, "class_dim: expected 1 or more, got 0"),
        ({"cell_routing": "dynamik"}, "routing: expected one of .*; did you mean 'dynamic'"),
        ({"capsule_dropout": 1.0}, "probability: expected 0 to below 1, got 1.0"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        DeepCaps(2, 1, 3, (8, 8), **SMALL | options)


def test_another_competition_is_refused():
    with pytest.raises(ValueError, match="competition: expected 'location' or 'map', got 'all'"):
        SharedCapsuleConv(2, 3, 2, 4, 5, competition="all")


def test_no_class_capsule_of_the_default_network_starts_dead_on_a_small_image():
    network = DeepCaps(2, 1, 10, (16, 16), decoder=None).eval()
    assert network(torch.rand(2, 1, 16, 16)).min() > 1e-6


def test_the_default_network_learns_on_8x8():
    assert falls(DeepCaps(2, 1, 2, (8, 8), decoder=None), (8, 8), steps=12, rate=1e-3)


@pytest.mark.parametrize("squash_sums", [True, False])
def test_it_learns(squash_sums):
    options = SMALL | {"dims": (4, 4), "squash_sums": squash_sums, "decoder": None}
    assert falls(DeepCaps(2, 1, 2, (8, 8), **options), (8, 8))
