import pytest
import torch
from monai.networks.layers.factories import Act

from capsmed.networks import Squash, squash
from capsmed.networks.layers.squash import lengths, squash_with_lengths


def test_a_vector_of_length_five_gets_length_25_of_26():
    squashed = squash(torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(squashed, torch.tensor([3.0, 4.0]) / 5 * 25 / 26)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_works_along_the_named_axis_only(dim):
    vectors = torch.randn(3, 5, 7)
    lengths = vectors.norm(dim=dim)
    expected = lengths**2 / (1 + lengths**2)
    torch.testing.assert_close(squash(vectors, dim).norm(dim=dim), expected)


def test_value_and_gradient_are_finite_at_a_zero_vector():
    zero = torch.zeros(2, 3, requires_grad=True)
    squash(zero).sum().backward()
    assert squash(zero).eq(0).all()
    assert zero.grad.isfinite().all()


def test_lengths_from_the_sum_of_squares_are_those_of_the_vectors_to_the_gradient():
    vectors = torch.randn(3, 5, 7, dtype=torch.float64).requires_grad_()
    squashed, found = squash_with_lengths(vectors)
    expected = lengths(squash(vectors))
    assert torch.equal(squashed, squash(vectors))
    torch.testing.assert_close(found, expected)
    pull = torch.randn(3, 5, dtype=torch.float64)
    grads = [torch.autograd.grad(each, vectors, pull)[0] for each in (found, expected)]
    torch.testing.assert_close(*grads)


def test_length_and_its_gradient_are_zero_at_a_zero_vector():
    zero = torch.zeros(2, 3, requires_grad=True)
    found = squash_with_lengths(zero)[1]
    assert torch.autograd.grad(found.sum(), zero)[0].eq(0).all() and found.eq(0).all()


def test_is_known_to_monai_by_name():
    layer = Act["squash"](dim=1)
    assert isinstance(layer, Squash)
    torch.testing.assert_close(layer(torch.ones(2, 3)), squash(torch.ones(2, 3)))
