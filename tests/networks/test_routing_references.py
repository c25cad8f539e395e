"""Every registered routing equals the plain loop over single numbers that its paper describes."""

import math

import numpy as np
import pytest
import torch

from capsmed.networks import Routing
from capsmed.plugins.contracts.routed import LAYERS
from capsmed.plugins.contracts.routing import Case
from tests.reference.consistent_loop import consistent_routing
from tests.reference.dynamic_loop import dynamic_routing
from tests.reference.em_loop import em_routing
from tests.reference.inverted_attention_loop import inverted_attention_routing
from tests.reference.self_attention_loop import self_attention_routing
from tests.reference.self_routing_loop import self_routing_routing
from tests.reference.uniform_loop import uniform_routing
from tests.reference.variational_bayes_loop import variational_bayes_routing

#: The loop of each algorithm: votes and their routing as arrays -> poses [batch, out, out_dim].
#: A new routing adds its own.
REFERENCES = {
    "consistent": lambda votes, routing: consistent_routing(dense(votes), locations(votes))[0],
    "dynamic": lambda votes, routing: dynamic_routing(dense(votes)),
    "em": lambda votes, routing: em_routing(dense(votes), votes.activations.numpy())[0],
    "inverted_attention": lambda votes, routing: inverted_attention_routing(
        dense(votes), (1, 0), (np.zeros(routing.out_dim), 0)
    )[0],
    "self_attention": lambda votes, routing: self_attention_routing(
        dense(votes), routing.prior.detach().numpy()
    )[0],
    "self_routing": lambda votes, routing: self_routing_routing(
        dense(votes),
        votes.poses.numpy(),
        votes.activations.numpy(),
        routing.route.detach().numpy(),
    )[0],
    "uniform": lambda votes, routing: uniform_routing(dense(votes)),
    "variational_bayes": lambda votes, routing: variational_bayes_routing(
        dense(votes), votes.activations.numpy()
    )[0],
}
NAMES = sorted(name.lower() for name in Routing.names)


def dense(votes):
    return votes.dense().detach().numpy()


def locations(votes):
    return math.prod(votes.grid) if votes.grid else votes.poses.shape[1]


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
