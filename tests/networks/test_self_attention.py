import numpy as np
import pytest
import torch

from capsmed.networks import CapsuleLinear, DenseVotes, SelfAttentionRouting, exponential_squash
from capsmed.plugins.contracts.routed import LAYERS
from capsmed.plugins.contracts.routing import Case
from tests.reference.self_attention_loop import self_attention_routing


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("prior", ["added", "logits"])
def test_equals_the_loop_with_any_prior(kind, prior):
    case = Case("self_attention", kind)
    layer = case.layer(prior=prior)
    torch.nn.init.normal_(layer.routing.prior)
    votes = layer.votes(*case.inputs(layer))
    found = layer.routing(votes)
    dense = votes.dense().detach().numpy()
    expected = self_attention_routing(dense, layer.routing.prior.detach().numpy(), prior)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other, atol=1e-5)


def test_two_votes_that_agree_outweigh_one_that_does_not():
    layer = CapsuleLinear(3, 2, 2, 2, SelfAttentionRouting)
    votes = torch.tensor([[[3.0, 0.0], [0.0, 0.0]]]).repeat(3, 1, 1)
    votes[2] = -votes[2]
    found = layer.routing.couplings(DenseVotes(votes[None]))
    assert found[0, 0, 0] == found[0, 0, 1] > 0.9 > 0.1 > found[0, 0, 2]


def test_the_prior_of_the_papers_mnist_network_has_160_numbers():
    routing = SelfAttentionRouting(16, 10, 8, 16)
    assert sum(p.numel() for p in routing.parameters()) == 160
    assert not routing.prior.any()


def test_the_prior_learns():
    layer = CapsuleLinear(6, 3, 4, 5, SelfAttentionRouting)
    layer(torch.randn(2, 6, 4))[1].sum().backward()
    assert layer.routing.prior.grad.abs().min() > 0


def test_another_use_of_the_prior_is_refused():
    with pytest.raises(ValueError, match="prior: expected 'added' or 'logits', got 'none'"):
        SelfAttentionRouting(4, 3, 2, 2, prior="none")


def test_exponential_squash_gives_length_five_the_length_one_minus_exp_of_minus_five():
    squashed = exponential_squash(torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(squashed, torch.tensor([0.6, 0.8]) * (1 - np.exp(-5)))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_exponential_squash_works_along_the_named_axis_only(dim):
    vectors = torch.randn(3, 5, 7)
    expected = 1 - (-vectors.norm(dim=dim)).exp()
    torch.testing.assert_close(exponential_squash(vectors, dim).norm(dim=dim), expected)


def test_exponential_squash_is_smooth_at_a_zero_vector():
    zero = torch.zeros(2, 3, requires_grad=True)
    exponential_squash(zero).sum().backward()
    assert exponential_squash(zero).eq(0).all()
    torch.testing.assert_close(zero.grad, torch.ones(2, 3), atol=1e-3, rtol=0)
