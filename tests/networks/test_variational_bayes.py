import numpy as np
import pytest
import torch

from capsmed.networks import CapsuleLinear, DenseVotes, VariationalBayesRouting
from capsmed.plugins.contracts.routed import LAYERS
from capsmed.plugins.contracts.routing import Case
from tests.reference.variational_bayes_loop import variational_bayes_routing

SIZES = LOWER, HIGHER, IN_DIM, OUT_DIM = 11, 3, 5, 7
OPTIONS = [
    {"iterations": 1},
    {"iterations": 5},
    {"cov": "full"},
    {"entropy": "absolute"},
    {"assignments": "released"},
    {"alpha0": 0.5, "kappa0": 2.0, "psi0": 0.3, "nu0": 7.5},
    {"cov": "full", "psi0": 3.0, "kappa0": 0.5},
]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("options", OPTIONS)
def test_equals_the_loop_with_every_option_and_learned_betas(kind, options):
    case = Case("variational_bayes", kind)
    layer = case.layer(**options)
    routing = layer.routing
    torch.nn.init.normal_(routing.beta_u), torch.nn.init.normal_(routing.beta_a)
    votes = layer.votes(*case.inputs(layer))
    betas = (x.detach().double().numpy() for x in (routing.beta_u, routing.beta_a))
    given = dict(zip(("beta_u", "beta_a"), betas, strict=True))
    dense = votes.dense().detach().numpy()
    expected = variational_bayes_routing(dense, votes.activations.numpy(), **options, **given)
    for one, other in zip(routing(votes), expected, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other, atol=1e-5)


def test_the_assignments_sum_to_one_and_those_of_the_released_code_do_not():
    votes = DenseVotes(torch.randn(2, 11, 3, 7), activations=torch.rand(2, 11))
    paper, released = (
        VariationalBayesRouting(*SIZES, assignments=form).couplings(votes).sum(1)
        for form in ("paper", "released")
    )
    torch.testing.assert_close(paper, torch.ones(2, 11))
    assert (released - 1).abs().min() > 0.1


@pytest.mark.parametrize("cov", ["diag", "full"])
def test_inactive_lower_capsules_leave_higher_ones_off_and_at_the_prior_mean(cov):
    layer = CapsuleLinear(*SIZES, ("variational_bayes", {"cov": cov}))
    poses, activations = layer(torch.randn(2, 11, 5), torch.zeros(2, 11))
    torch.testing.assert_close(activations, torch.full((2, 3), -2.0).sigmoid())
    torch.testing.assert_close(poses, torch.zeros(2, 3, 7))


def test_a_strong_prior_holds_the_mean_and_a_weak_one_lets_the_votes_have_it():
    votes = DenseVotes(torch.full((1, 8, 2, 3), 4.0), activations=torch.ones(1, 8))
    sizes = (8, 2, 3, 3)  # each higher capsule receives 4
    strong, weak = (VariationalBayesRouting(*sizes, kappa0=k)(votes)[0] for k in (12, 1e-6))
    torch.testing.assert_close(strong, torch.ones(1, 2, 3))
    torch.testing.assert_close(weak, torch.full((1, 2, 3), 4.0))


def test_agreeing_votes_give_a_higher_activation_than_scattered_ones():
    offsets = torch.linspace(-1, 1, 9).view(1, 9, 1, 1).expand(-1, -1, -1, 3)
    votes = torch.cat([0.1 * offsets, 3 * offsets], 2)
    activations = VariationalBayesRouting(9, 2, 3, 3, iterations=1)(
        DenseVotes(votes, activations=torch.ones(1, 9))
    )[1][0]
    assert activations[0] > activations[1]


def test_full_covariance_sees_a_direction_that_diagonal_covariance_does_not():
    along = torch.linspace(-1, 1, 9).view(1, 9, 1)
    line = torch.stack([torch.cat([along, along], 2), torch.cat([along, -along], 2)], 2)
    votes = DenseVotes(20 * line, activations=torch.ones(1, 9))
    diag, full = (
        VariationalBayesRouting(9, 2, 2, 2, iterations=1, cov=cov)(votes)[1]
        for cov in ("diag", "full")
    )
    assert (full > 2 * diag).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cov": "spherical"}, "cov: expected 'diag' or 'full', got 'spherical'"),
        ({"alpha0": 0}, "alpha0: expected more than 0, got 0"),
        ({"kappa0": -1}, "kappa0: expected more than 0, got -1"),
        ({"psi0": 0}, "psi0: expected more than 0, got 0"),
        ({"nu0": 6}, "nu0: expected more than 6, got 6"),
        ({"entropy": "none"}, "entropy: expected 'relative' or 'absolute', got 'none'"),
        ({"assignments": "code"}, "assignments: expected 'paper' or 'released', got 'code'"),
    ],
)
def test_refuses_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        VariationalBayesRouting(*SIZES, **options)
