"""The vote-free sums against einsum over formed votes, whole and in blocks."""

import math

import pytest
import torch

from capsmed.engines.memory import peak_bytes
from capsmed.networks import CapsuleLinear
from capsmed.networks.layers import contraction
from capsmed.networks.layers.contraction import COUPLINGS, MIXED, POSES, WEIGHT, Partials

BATCH, OUT, OUT_DIM, IN_DIM, IN = 7, 3, 5, 2, 11
PLACES = (POSES, WEIGHT, COUPLINGS, MIXED)
SUMS = (
    "jedi,bji,bje->bdi",
    "bdi,bji,bje->jedi",
    "bdi,jedi,bje->bji",
    "bdi,jedi,bji->bje",
)


def blocks_of(numbers, monkeypatch):
    monkeypatch.setattr(contraction, "temporary_bytes", lambda device: 8 * numbers)


@pytest.fixture(params=[1, 22, 60, 154, 10_000])
def numbers_in_a_block(request, monkeypatch):
    blocks_of(request.param, monkeypatch)
    return request.param


def arrays(batch, out, out_dim, in_dim, lower):
    shapes = (
        (batch, in_dim, lower),
        (out, out_dim, in_dim, lower),
        (batch, out, lower),
        (batch, out, out_dim),
    )
    return [torch.randn(shape, dtype=torch.float64) for shape in shapes]


@pytest.fixture
def four():
    return arrays(BATCH, OUT, OUT_DIM, IN_DIM, IN)


def without(place, four):
    return [array for k, array in enumerate(four) if k != place]


@pytest.mark.parametrize("wanted", [(k,) for k in PLACES] + [PLACES])
@pytest.mark.parametrize(("numbers", "in_dim"), [(5 * 7, 1), (5 * 7 * 2, 2)])
def test_blocks_of_one_higher_capsule_are_the_same_sum(wanted, numbers, in_dim, monkeypatch):
    four = arrays(batch=5, out=3, out_dim=4, in_dim=2, lower=7)
    whole = contraction.partials(wanted, four)
    monkeypatch.setattr(contraction, "ROWS", 2)
    monkeypatch.setattr(contraction, "SINGLE", 1)
    sizes = contraction.Sizes(batch=5, lower=7, higher=3, in_dim=2, out_dim=4)
    assert contraction.extents_of_a_block(sizes, numbers) == (1, in_dim, 7, 5)
    blocks_of(2 * numbers, monkeypatch)
    torch.testing.assert_close(contraction.partials(wanted, four), whole)


@pytest.mark.parametrize("place", PLACES)
def test_each_partial_derivative_is_its_einsum(place, four, numbers_in_a_block):
    given = [None if k == place else array for k, array in enumerate(four)]
    expected = torch.einsum(SUMS[place], *without(place, four))
    torch.testing.assert_close(contraction.partials((place,), given)[0], expected)


def test_all_partial_derivatives_at_once_are_those_taken_alone(four, numbers_in_a_block):
    expected = tuple(torch.einsum(SUMS[k], *without(k, four)) for k in PLACES)
    torch.testing.assert_close(contraction.partials(PLACES, four), expected)


@pytest.mark.parametrize(("form", "place"), [("mix", MIXED), ("agreement", COUPLINGS)])
def test_plain_operators_and_blocks_are_the_same_sum(form, place, four, numbers_in_a_block):
    expected = torch.einsum(SUMS[place], *without(place, four))
    for name in (form, f"{form}_in_blocks"):
        found = getattr(contraction, name)(*without(place, four))
        torch.testing.assert_close(found, expected)


def test_softmax_in_place_is_that_over_the_higher_capsules(numbers_in_a_block):
    logits = torch.randn(BATCH, OUT, IN, dtype=torch.float64)
    expected = logits.softmax(1)
    assert contraction.softmax_in_place(logits) is logits
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("wanted", [(k,) for k in PLACES] + [PLACES, (WEIGHT, COUPLINGS)])
@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_partial_derivatives_are_differentiated_right_once_and_twice(check, wanted, monkeypatch):
    blocks_of(12, monkeypatch)
    four = [array.requires_grad_() for array in arrays(3, 2, 2, 2, 3)]
    if len(wanted) == 1:
        four[wanted[0]] = None
    assert check(lambda *four: Partials.apply(wanted, *four), four)


def test_no_samples_give_sums_of_none():
    four = arrays(0, OUT, OUT_DIM, IN_DIM, IN)
    found = contraction.partials(PLACES, four)
    assert [tuple(x.shape) for x in found] == [tuple(x.shape) for x in four]
    assert not found[WEIGHT].any()


@pytest.mark.parametrize("sizes", [(1, 10**6, 2, 8, 16), (300, 1152, 500, 8, 16), (7, 9, 2, 3, 5)])
def test_a_block_never_holds_more_numbers_than_it_may(sizes):
    sizes = contraction.Sizes(*sizes)
    extents = contraction.extents_of_a_block(sizes, 1 << 18)
    assert min(extents) >= 1 and math.prod(extents) <= 1 << 18


def beyond_known_arrays(classes):
    layer = CapsuleLinear(1152, classes, 8, 16)
    poses = torch.randn(64, 1152, 8, requires_grad=True)
    layer(poses)[1].sum().backward()
    poses.grad = layer.weight.grad = None
    peak = peak_bytes(lambda: layer(poses)[1].sum().backward())
    return peak - layer.weight.grad.nbytes - 4 * 64 * 1152 * classes - poses.grad.nbytes


def test_memory_beyond_gradients_and_couplings_is_constant_in_the_classes():
    few, many = (beyond_known_arrays(classes) for classes in (8, 64))
    assert many < 1.1 * few
