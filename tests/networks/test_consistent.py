import numpy as np
import pytest
import torch

from capsmed.networks import CapsNet, CapsuleLinear, ConsistentRouting, DynamicRouting
from capsmed.plugins.contracts.routing import Case
from tests.reference.consistent_loop import consistent_routing
from tests.reference.dynamic_loop import dynamic_routing

TYPES, GRID, HIGHER, IN_DIM, OUT_DIM = 4, (2, 3), 3, 5, 7
LOWER = TYPES * 6


@pytest.mark.parametrize("iterations", [1, 2, 4])
@pytest.mark.parametrize("combine", ["sum", "mean"])
def test_equals_the_loop_with_every_option(iterations, combine):
    case = Case("consistent", "2D grid")
    layer = case.layer(iterations=iterations, combine=combine, bias=True)
    votes = layer.votes(*case.inputs(layer))
    found = layer.routing(votes)
    dense = votes.dense().detach().numpy()
    expected = consistent_routing(dense, 6, iterations, combine, bias=0.1)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other, atol=1e-5)


def couplings(grid: tuple[int, ...]) -> torch.Tensor:
    layer = CapsuleLinear(LOWER, HIGHER, IN_DIM, OUT_DIM, ConsistentRouting, init_scale=0.3)
    seen = []
    layer.routing.register_forward_pre_hook(lambda module, votes: seen.append(*votes))
    layer(torch.randn(2, LOWER, IN_DIM), grid=grid)
    return layer.routing.couplings(seen[0]).unflatten(2, (TYPES, -1))


def test_all_types_of_one_location_share_their_couplings():
    shared = couplings(GRID)
    torch.testing.assert_close(shared, shared[:, :, :1].expand_as(shared))
    assert shared.std(dim=3).min() > 1e-3  # locations differ


def test_without_a_grid_every_lower_capsule_routes_by_itself():
    assert couplings(()).std(dim=2).min() > 1e-3


def test_without_a_grid_it_is_dynamic_routing():
    votes = np.random.default_rng(0).normal(size=(2, 5, 3, 4))
    consistent, _ = consistent_routing(votes, locations=5)
    np.testing.assert_allclose(consistent, dynamic_routing(votes))
    layers = [CapsuleLinear(5, 3, 4, 7, x) for x in (ConsistentRouting, DynamicRouting)]
    layers[1].load_state_dict(layers[0].state_dict())
    poses = torch.randn(2, 5, 4)
    torch.testing.assert_close(layers[0](poses), layers[1](poses))


def test_it_is_dynamic_routing_of_one_long_capsule_a_location():
    short = CapsuleLinear(LOWER, HIGHER, IN_DIM, OUT_DIM, ConsistentRouting, init_scale=0.3)
    long = CapsuleLinear(6, HIGHER, TYPES * IN_DIM, OUT_DIM, DynamicRouting)
    joined = short.weight.detach().unflatten(3, (TYPES, 6)).transpose(2, 3).flatten(2, 3)
    long.load_state_dict({"weight": joined})
    poses = torch.randn(2, LOWER, IN_DIM)
    as_long = poses.unflatten(1, (TYPES, 6)).transpose(1, 2).flatten(2)
    torch.testing.assert_close(short(poses, grid=GRID), long(as_long), atol=1e-5, rtol=1e-5)


def test_a_network_passes_its_grid_on():
    network = CapsNet(2, 1, 3, (24, 24), primary_capsules=2, routing="consistent", decoder=None)
    seen = []
    network.classes.routing.register_forward_pre_hook(lambda module, votes: seen.append(*votes))
    network(torch.rand(1, 1, 24, 24))
    assert seen[0].grid == network.grid == (4, 4)


def test_another_way_to_combine_is_refused():
    with pytest.raises(ValueError, match="combine: expected 'sum' or 'mean', got 'max'"):
        ConsistentRouting(4, 3, 2, 2, combine="max")
