"""Every registered routing equals the plain loop over single numbers that its paper describes."""

import numpy as np
import pytest
import torch

from capsmed.networks import Routing
from capsmed.plugins.contracts.routing import LAYERS, Case
from tests.reference.dynamic_loop import dynamic_routing
from tests.reference.uniform_loop import uniform_routing

#: The loop of each algorithm: votes and their routing as arrays -> poses [batch, out, out_dim].
#: A new routing adds its own.
REFERENCES = {
    "dynamic": lambda votes, routing: dynamic_routing(dense(votes)),
    "uniform": lambda votes, routing: uniform_routing(dense(votes)),
}
NAMES = sorted(name.lower() for name in Routing.names)


def dense(votes):
    return votes.dense().detach().numpy()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_routing_equals_its_plain_loop(name, grad, kind):
    case = Case(name, kind)
    layer = case.layer()
    with torch.set_grad_enabled(grad):
        votes = layer.votes(*case.inputs(layer))
        poses, _ = layer.routing(votes)
    expected = REFERENCES[name](votes, layer.routing)
    np.testing.assert_allclose(poses.detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("iterations", [1, 2, 4])
def test_dynamic_routing_equals_the_loop_with_bias_and_any_number_of_passes(iterations):
    case = Case("dynamic", "linear")
    layer = case.layer(iterations=iterations, bias=True)
    votes = layer.votes(*case.inputs(layer))
    expected = dynamic_routing(dense(votes), iterations, bias=0.1)
    np.testing.assert_allclose(layer.routing(votes)[0].detach().numpy(), expected, atol=1e-5)
