"""The vote-free sums against einsum over formed votes, whole and in chunks."""

import pytest
import torch

from capsmed.networks.layers import contraction

BATCH, OUT, OUT_DIM, IN_DIM, IN = 7, 3, 5, 2, 11
PER_SAMPLE = OUT * IN_DIM * IN


@pytest.fixture(params=[1, 3, 7, 100])
def samples_in_a_chunk(request, monkeypatch):
    monkeypatch.setattr(contraction, "CHUNK_NUMBERS", request.param * PER_SAMPLE)
    return request.param


@pytest.fixture
def four():
    shapes = (
        (BATCH, IN_DIM, IN),
        (OUT, OUT_DIM, IN_DIM, IN),
        (BATCH, OUT, IN),
        (BATCH, OUT, OUT_DIM),
    )
    return [torch.randn(shape, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("form", [contraction.mix, contraction.mix_chunked])
def test_mix_is_the_coupled_sum_of_votes(form, four, samples_in_a_chunk):
    poses, weight, couplings, _ = four
    expected = torch.einsum("bdi,jedi,bji->bje", poses, weight, couplings)
    torch.testing.assert_close(form(poses, weight, couplings), expected)


@pytest.mark.parametrize("form", [contraction.agreement, contraction.agreement_chunked])
def test_agreement_is_the_inner_product_with_the_mixed_pose(form, four, samples_in_a_chunk):
    poses, weight, _, mixed = four
    expected = torch.einsum("bdi,jedi,bje->bji", poses, weight, mixed)
    torch.testing.assert_close(form(poses, weight, mixed), expected)


def test_gradient_of_the_poses_sums_over_outputs(four, samples_in_a_chunk):
    _, *others = four
    expected = torch.einsum("jedi,bji,bje->bdi", *others)
    torch.testing.assert_close(contraction.poses_gradient(*four), expected)


def test_gradient_of_the_weight_sums_over_the_batch(four, samples_in_a_chunk):
    poses, _, couplings, mixed = four
    expected = torch.einsum("bdi,bji,bje->jedi", poses, couplings, mixed)
    torch.testing.assert_close(contraction.weight_gradient(*four), expected)


@pytest.mark.parametrize(("function", "third"), [("Mix", 2), ("Agreement", 3)])
def test_functions_pass_gradcheck_in_chunks(function, third, four, monkeypatch):
    monkeypatch.setattr(contraction, "CHUNK_NUMBERS", 2 * PER_SAMPLE)
    arguments = [x.requires_grad_() for x in (four[0], four[1], four[third])]
    assert torch.autograd.gradcheck(getattr(contraction, function).apply, arguments)
