"""Residual connections around capsule layers, and the dropout of whole capsules."""

import pytest
import torch

from capsmed.networks import (
    CapsuleConv,
    CapsuleDropout,
    CapsuleResidual,
    PlainCapsuleConv,
    squash,
)


def same(types=3, dim=4, spatial_dims=2, **options):
    return CapsuleConv(spatial_dims, types, types, dim, dim, padding="same", **options)


@pytest.mark.parametrize("grid", [(4, 5), (2, 3, 4)])
def test_the_poses_of_both_ways_are_added_and_squashed(grid):
    layers = [same(spatial_dims=len(grid)) for _ in range(2)]
    poses = torch.randn(2, 3 * torch.Size(grid).numel(), 4)
    deep = layers[1](layers[0](poses, grid=grid)[0], grid=grid)[0]
    higher, activations = CapsuleResidual(layers)(poses, grid=grid)
    torch.testing.assert_close(higher, squash(deep + poses))
    torch.testing.assert_close(activations, higher.norm(dim=2))
    plain = CapsuleResidual(layers, squash=False)(poses, grid=grid)[0]
    torch.testing.assert_close(plain, deep + poses)


def test_a_layer_beside_projects_to_other_types_components_and_grid():
    layers = [CapsuleConv(2, 3, 5, 4, 6, stride=2, padding="same"), same(5, 6)]
    skip = CapsuleConv(2, 3, 5, 4, 6, kernel_size=1, stride=2)
    block, poses = CapsuleResidual(layers, skip), torch.randn(2, 3 * 7 * 4, 4)
    assert block.output_size((7, 4)) == (4, 2)
    higher, activations = block(poses, grid=(7, 4))
    assert higher.shape == (2, 5 * 4 * 2, 6) and activations.shape == (2, 5 * 4 * 2)
    beside = skip(poses, grid=(7, 4))[0]
    deep = layers[1](layers[0](poses, grid=(7, 4))[0], grid=(4, 2))[0]
    torch.testing.assert_close(higher, squash(deep + beside))


def test_ways_to_different_grids_are_refused_with_both():
    block = CapsuleResidual([CapsuleConv(2, 3, 3, 4, 4, kernel_size=3)])
    with pytest.raises(ValueError, match=r"one grid on both ways, got \[4, 3\] .* and \[6, 5\]"):
        block(torch.randn(2, 3 * 6 * 5, 4), grid=(6, 5))


def test_ways_to_different_capsules_are_refused_with_both():
    block = CapsuleResidual([CapsuleConv(2, 3, 2, 4, 5, padding="same")])
    with pytest.raises(ValueError, match=r"same capsules .* got \[60, 5\] .* and \[90, 4\]"):
        block(torch.randn(2, 3 * 6 * 5, 4), grid=(6, 5))


def test_a_residual_connection_needs_layers():
    with pytest.raises(ValueError, match="layers: expected at least one capsule layer, got none"):
        CapsuleResidual([])


def test_a_gradient_reaches_the_lower_poses_through_layers_that_give_nothing():
    layer = PlainCapsuleConv(2, 3, 3, 4, 4, padding="same")
    torch.nn.init.zeros_(layer.conv.weight)
    poses = torch.randn(2, 3 * 6 * 5, 4, requires_grad=True)
    CapsuleResidual([layer])(poses, grid=(6, 5))[1].sum().backward()
    assert (poses.grad.abs().sum(2) > 0).all()


@pytest.mark.parametrize("grid", [(5, 4), (2, 3, 4)])
def test_a_plain_layer_is_a_capsule_layer_whose_couplings_are_one(grid):
    plain = PlainCapsuleConv(len(grid), 3, 2, 4, 5, padding=1)
    routed = CapsuleConv(len(grid), 3, 2, 4, 5, padding=1, routing="uniform")
    kernels = plain.conv.weight.flatten(2).unflatten(0, (5, 2)).unflatten(2, (4, 3))
    routed.weight.data = 2 * kernels.permute(1, 0, 2, 3, 4).flatten(3)  # couplings of one half
    poses = torch.randn(2, 3 * torch.Size(grid).numel(), 4)
    for found, expected in zip(plain(poses, grid=grid), routed(poses, grid=grid), strict=True):
        torch.testing.assert_close(found, expected)


def test_dropout_takes_whole_capsules_and_keeps_the_expectation_of_their_poses():
    poses = torch.rand(200, 300, 3) + 0.1
    dropped, none = CapsuleDropout(0.25)(poses)
    gone = (dropped == 0).all(2)
    assert none is None
    torch.testing.assert_close(dropped[~gone], poses[~gone] * 4 / 3)
    assert gone.float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert (dropped.mean() / poses.mean()).item() == pytest.approx(1, abs=0.01)


def test_dropout_with_activations_keeps_the_expectation_of_activation_times_pose():
    poses, activations = torch.rand(200, 300, 3) + 0.1, torch.rand(200, 300) + 0.1
    dropped, active = CapsuleDropout(0.25)(poses, activations)
    stays = active > 0
    torch.testing.assert_close(dropped[stays], poses[stays])
    assert not dropped[~stays].any()
    sums = [(a.unsqueeze(2) * p).mean() for p, a in ((dropped, active), (poses, activations))]
    assert (sums[0] / sums[1]).item() == pytest.approx(1, abs=0.01)
    assert (active.mean() / activations.mean()).item() == pytest.approx(1, abs=0.01)


def test_in_evaluation_nothing_is_dropped():
    poses, activations = torch.rand(2, 5, 3), torch.rand(2, 5)
    found = CapsuleDropout(0.5).eval()(poses, activations)
    assert found[0] is poses and found[1] is activations


def test_dropout_exports_in_both_modes_with_any_batch():
    for layer in (CapsuleDropout(0.5), CapsuleDropout(0.5).eval()):
        shapes = ({0: torch.export.Dim("batch")}, None)
        exported = torch.export.export(layer, (torch.rand(3, 50, 2), None), dynamic_shapes=shapes)
        dropped = exported.module()(torch.ones(7, 50, 2), None)[0]
        assert dropped.shape == (7, 50, 2) and (dropped == 0).any() == layer.training


def test_a_probability_of_one_is_refused():
    with pytest.raises(ValueError, match="probability: expected 0 to below 1, got 1"):
        CapsuleDropout(1)
