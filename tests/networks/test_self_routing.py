import numpy as np
import pytest
import torch

from capsmed.networks import CapsNet, CapsuleLinear, SelfRouting
from capsmed.plugins.contracts.routed import LAYERS
from capsmed.plugins.contracts.routing import Case
from tests.reference.self_routing_loop import self_routing_routing

SIZES = LOWER, HIGHER, IN_DIM, OUT_DIM = 11, 3, 5, 7


def arrays(*tensors):
    return [x if x is None else x.detach().numpy() for x in tensors]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_loop_with_any_weights(kind, bias):
    case = Case("self_routing", kind)
    layer = case.layer(bias=bias, route_scale=1.0)
    if bias:
        torch.nn.init.normal_(layer.routing.bias)
    votes = layer.votes(*case.inputs(layer))
    found = arrays(*layer.routing(votes))
    given = (votes.dense(), votes.poses, votes.activations)
    expected = self_routing_routing(*arrays(*given, layer.routing.route, layer.routing.bias))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_its_options_are_shown():
    routing = CapsuleLinear(*SIZES, ("self_routing", {"route_scale": 0.5})).routing
    assert repr(routing) == "SelfRouting(route_scale=0.5, bias=False)"


def test_activations_sum_to_one():
    layer = CapsuleLinear(*SIZES, SelfRouting)
    _, activations = layer(torch.randn(2, LOWER, IN_DIM), torch.rand(2, LOWER))
    torch.testing.assert_close(activations.sum(1), torch.ones(2))


def test_with_route_weights_of_zero_it_starts_uniform():
    layer = CapsuleLinear(*SIZES, ("self_routing", {"route_scale": 0.0, "bias": True}))
    _, activations = layer(torch.randn(2, LOWER, IN_DIM), torch.rand(2, LOWER))
    torch.testing.assert_close(activations, torch.full((2, HIGHER), 1 / HIGHER))


def test_an_inactive_lower_capsule_has_no_say():
    layer = CapsuleLinear(*SIZES, SelfRouting)
    poses, active = torch.randn(2, LOWER, IN_DIM), torch.rand(2, LOWER)
    active[:, 4] = 0
    other = poses.clone()
    other[:, 4] += 1
    torch.testing.assert_close(layer(poses, active), layer(other, active))


def test_without_any_active_lower_capsule_it_gives_zero():
    layer = CapsuleLinear(*SIZES, SelfRouting)
    poses, activations = layer(torch.randn(2, LOWER, IN_DIM), torch.zeros(2, LOWER))
    assert not poses.any() and not activations.any()


def test_lengths_of_the_lower_poses_stand_in_for_activations():
    layer, poses = CapsuleLinear(*SIZES, SelfRouting), torch.randn(2, LOWER, IN_DIM)
    torch.testing.assert_close(layer(poses), layer(poses, poses.norm(dim=2)))


def test_uniform_couplings_may_replace_its_own():
    layer = CapsuleLinear(*SIZES, SelfRouting)
    seen = []
    layer.routing.register_forward_pre_hook(lambda module, votes: seen.append(*votes))
    layer(torch.randn(2, LOWER, IN_DIM))
    _, activations = layer.routing.settle(seen[0], None)
    torch.testing.assert_close(activations, torch.full((2, HIGHER), 1 / HIGHER))


def test_a_network_takes_its_activations_for_scores():
    network = CapsNet(2, 1, 3, (24, 24), primary_capsules=2, routing="self_routing", decoder=None)
    scores = network(torch.rand(4, 1, 24, 24))
    torch.testing.assert_close(scores.sum(1), torch.ones(4))


def test_a_negative_scale_is_refused():
    with pytest.raises(ValueError, match="route_scale: expected 0 or more, got -1"):
        SelfRouting(4, 3, 2, 2, route_scale=-1)
