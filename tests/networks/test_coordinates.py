import pytest
import torch

from capsmed.networks import CapsuleLinear, DenseVotes, LinearVotes, Routing
from capsmed.networks.layers.coordinates import CoordinateVotes, coordinates

LOWER, HIGHER, IN_DIM, OUT_DIM = 12, 3, 5, 16


def both_forms():
    """The same votes with something added: not formed, and formed."""
    poses, weight = torch.randn(2, LOWER, IN_DIM), torch.randn(HIGHER, OUT_DIM, IN_DIM, LOWER)
    active = torch.rand(2, LOWER)
    votes = CoordinateVotes(
        LinearVotes(poses, weight, active, (2, 3)), coordinates((2, 3), 2, OUT_DIM)
    )
    return votes, DenseVotes(votes.dense(), poses, active, (2, 3))


def test_coordinates_are_the_centres_of_the_locations_in_the_right_hand_column():
    added = coordinates((2, 5), 3, 16).view(3, 2, 5, 4, 4)
    torch.testing.assert_close(added[1, :, 4, 0, 3], torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(added[2, 1, :, 1, 3], torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9]))
    assert added[..., :3].eq(0).all() and added[..., 2:, 3].eq(0).all()


def test_in_3d_the_third_axis_goes_to_the_third_row():
    added = coordinates((1, 2, 4), 1, 16).view(1, 2, 4, 4, 4)
    torch.testing.assert_close(added[0, 0, :, 2, 3], torch.tensor([0.125, 0.375, 0.625, 0.875]))


def test_votes_that_are_no_matrices_take_coordinates_in_their_first_components():
    torch.testing.assert_close(coordinates((1, 2), 1, 3)[1], torch.tensor([0.5, 0.75, 0]))


def test_mix_and_agreement_are_those_of_the_formed_votes():
    votes, formed = both_forms()
    couplings, poses = torch.rand(2, HIGHER, LOWER), torch.randn(2, HIGHER, OUT_DIM)
    for one, other in ((votes.mix, couplings), (votes.mix, None), (votes.agreement, poses)):
        expected = getattr(formed, one.__name__)(other)
        torch.testing.assert_close(one(other), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(name.lower() for name in Routing.names))
def test_every_routing_takes_them_as_the_formed_votes(name):
    votes, formed = both_forms()
    routing = CapsuleLinear(LOWER, HIGHER, IN_DIM, OUT_DIM, name).routing
    torch.testing.assert_close(routing(votes), routing(formed), atol=1e-4, rtol=1e-4)


def test_refuses_more_axes_than_components():
    with pytest.raises(ValueError, match="a component for each of 3 axes, got 2 components"):
        coordinates((4, 4, 4), 1, 2)
