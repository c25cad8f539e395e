import numpy as np
import pytest
import torch

from capsmed.networks import CapsuleLinear, DenseVotes, EMRouting
from capsmed.plugins.contracts.routed import LAYERS
from capsmed.plugins.contracts.routing import Case
from tests.reference.em_loop import em_routing

SIZES = LOWER, HIGHER, IN_DIM, OUT_DIM = 11, 3, 5, 7
OPTIONS = [
    {"iterations": 1},
    {"iterations": 5},
    {"amounts": "sum", "inverse_temperature": 0.1},
    {"decay": 0.0},
    {"min_variance": 0.1},
]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("options", OPTIONS)
def test_equals_the_loop_with_every_option_and_learned_betas(kind, options):
    case = Case("em", kind)
    layer = case.layer(**options)
    routing = layer.routing
    torch.nn.init.normal_(routing.beta_u), torch.nn.init.normal_(routing.beta_a)
    votes = layer.votes(*case.inputs(layer))
    betas = (x.detach().double().numpy() for x in (routing.beta_u, routing.beta_a))
    given = dict(zip(("beta_u", "last_beta_a"), betas, strict=True))
    dense = votes.dense().detach().numpy()
    expected = em_routing(dense, votes.activations.numpy(), **options, **given)
    for one, other in zip(routing(votes), expected, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other, atol=1e-5)


def around(*centres, spread=0.01):
    """Votes [1, in, 2, 1] of lower capsules that say the same to both higher capsules."""
    votes = torch.tensor(centres) + spread * torch.linspace(-1, 1, len(centres))
    return votes.view(1, -1, 1, 1).expand(-1, -1, 2, -1)


def test_lower_capsules_go_to_the_higher_one_that_their_votes_agree_on():
    together, scattered = [0.0, 0.1, -0.1], [5.0, -3.0, 9.0]
    votes = torch.tensor([[together + scattered, scattered + together]]).mT.unsqueeze(3)
    routing = EMRouting(6, 2, 1, 1, iterations=5)
    assignments = routing.couplings(DenseVotes(votes, activations=torch.ones(1, 6)))
    assert (assignments[0, 0, :3] > 0.9).all() and (assignments[0, 1, 3:] > 0.9).all()


def test_agreeing_votes_give_a_higher_activation_than_scattered_ones():
    tight, loose = around(*[1.0] * 9, spread=0.05), around(*[1.0] * 9, spread=2.0)
    votes = DenseVotes(
        torch.cat([tight[:, :, :1], loose[:, :, :1]], 2), activations=torch.ones(1, 9)
    )
    activations = EMRouting(9, 2, 1, 1, iterations=1)(votes)[1][0]
    assert activations[0] > activations[1]


def test_the_mean_weighs_lower_capsules_by_their_activations():
    votes = DenseVotes(around(0.0, 4.0, spread=0), activations=torch.tensor([[0.75, 0.25]]))
    poses, _ = EMRouting(2, 2, 1, 1, iterations=1)(votes)
    torch.testing.assert_close(poses, torch.ones(1, 2, 1))


def test_inactive_lower_capsules_leave_higher_ones_off():
    activations = CapsuleLinear(*SIZES, "em")(torch.randn(2, 11, 5), torch.zeros(2, 11))[1]
    torch.testing.assert_close(activations, torch.full((2, 3), -2.0).sigmoid())


@pytest.mark.parametrize("spread", [0.0, 1e-20])
def test_votes_without_variance_give_finite_values_and_gradients(spread):
    votes = around(*[1.0] * 5, spread=spread).clone().requires_grad_()
    poses, activations = EMRouting(5, 2, 1, 1)(DenseVotes(votes, activations=torch.ones(1, 5)))
    (poses.sum() + activations.sum()).backward()
    assert activations.isfinite().all() and votes.grad.isfinite().all()


def test_with_relative_amounts_twice_the_same_lower_capsules_change_nothing():
    votes, active = torch.randn(2, 6, 3, 4), torch.rand(2, 6)
    twice = DenseVotes(torch.cat([votes, votes], 1), activations=torch.cat([active, active], 1))
    expected = EMRouting(6, 3, 4, 4)(DenseVotes(votes, activations=active))
    torch.testing.assert_close(EMRouting(12, 3, 4, 4)(twice), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inverse_temperature": 0}, "inverse_temperature: expected more than 0, got 0"),
        ({"decay": 1.0}, "decay: expected 0 to below 1, got 1.0"),
        ({"amounts": "mean"}, "amounts: expected 'relative' or 'sum', got 'mean'"),
        ({"min_variance": 0}, "min_variance: expected more than 0, got 0"),
        ({"iterations": 0}, "iterations: expected 1 or more, got 0"),
    ],
)
def test_refuses_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        EMRouting(*SIZES, **options)


def test_refuses_votes_without_activations():
    with pytest.raises(ValueError, match="EMRouting: expected activations, got None"):
        EMRouting(*SIZES)(DenseVotes(torch.randn(2, 11, 3, 7)))
