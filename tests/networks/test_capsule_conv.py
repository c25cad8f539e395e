"""Convolutional capsules: which lower capsules a window sees, and who competes for them."""

import numpy as np
import pytest
import torch

from capsmed.networks import CapsuleConv
from capsmed.networks.layers.conv_votes import ConvVotes
from capsmed.networks.layers.fields import Fields
from tests.reference.dynamic_loop import dynamic_routing, softmax, squash

GRIDS = [((4, 5), (3, 2), (2, 1), (1, 0)), ((2, 3, 4), (2, 3, 1), (1, 2, 2), (0, 1, 0))]


def layer_and_poses(grid, kernel, stride, padding, **options):
    layer = CapsuleConv(len(grid), 2, 3, 4, 5, kernel, stride, padding, init_scale=0.5, **options)
    return layer, torch.randn(2, 2 * int(np.prod(grid)), 4)


def windows(grid, kernel, stride, padding):
    """For each window its lower locations, None in the padding, by counting along the axes."""
    axes = zip(grid, kernel, stride, padding, strict=True)
    ranges = [range(-p, n + p - k + 1, s) for n, k, s, p in axes]
    for corner in np.array(np.meshgrid(*ranges, indexing="ij")).reshape(len(grid), -1).T:
        yield [_number(corner + step, grid) for step in np.ndindex(*kernel)]


def _number(place, grid):
    inside = all(0 <= x < n for x, n in zip(place, grid, strict=True))
    return int(np.ravel_multi_index(place, grid)) if inside else None


def votes_of(layer, poses, window):
    """Votes [batch, in, out, out_dim] of one window, from the weights."""
    locations = poses.shape[1] // layer.in_types
    rows = poses.view(len(poses), layer.in_types, locations, -1)
    empty = torch.zeros_like(rows[:, :, 0])
    lower = torch.stack([empty if x is None else rows[:, :, x] for x in window], 2).flatten(1, 2)
    return torch.einsum("bid,jedi->bije", lower, layer.weight).detach().numpy()


@pytest.mark.parametrize("shape", GRIDS, ids=["2D", "3D"])
def test_each_window_routes_as_the_plain_loop_does(shape):
    layer, poses = layer_and_poses(*shape)
    found = layer(poses, grid=shape[0])[0].unflatten(1, (3, -1)).detach().numpy()
    for number, window in enumerate(windows(*shape)):
        expected = dynamic_routing(votes_of(layer, poses, window))
        np.testing.assert_allclose(found[:, :, number], expected, atol=1e-5)
    assert found.shape[2] == number + 1 == np.prod(layer.output_size(shape[0]))


@pytest.mark.parametrize("shape", GRIDS, ids=["2D", "3D"])
def test_competing_over_the_map_shares_a_lower_capsule_out_among_all_its_windows(shape):
    layer, poses = layer_and_poses(
        *shape, competition="map", routing=("dynamic", {"iterations": 2})
    )
    found = layer(poses, grid=shape[0])[0].unflatten(1, (3, -1)).detach().numpy()
    expected = two_passes_over_the_map(layer, poses, list(windows(*shape)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def two_passes_over_the_map(layer, poses, seen):
    """Dynamic routing of two passes, by loops: the softmax runs over all windows' capsules."""
    votes = np.stack([votes_of(layer, poses, window) for window in seen], 1).astype(np.float64)
    logits = np.zeros(votes.shape[:4])  # batch, window, in, out
    for number in range(2):
        couplings = _shares(logits, seen, layer.in_types)
        mixed = (couplings[..., None] * votes).sum(2)  # batch, window, out, dim
        poses_up = np.apply_along_axis(squash, 3, mixed)
        logits = logits + (votes * poses_up[:, :, None]).sum(4) * (number == 0)
    return poses_up.transpose(0, 2, 1, 3)


def _shares(logits, seen, types):
    shares = np.zeros_like(logits)
    size = len(seen[0])
    for location in {x for window in seen for x in window} - {None}:
        places = [
            (w, k) for w, window in enumerate(seen) for k, x in enumerate(window) if x == location
        ]
        for b, t in np.ndindex(len(logits), types):
            row = np.concatenate([logits[b, w, t * size + k] for w, k in places])
            for (w, k), part in zip(places, np.split(softmax(row), len(places)), strict=True):
                shares[b, w, t * size + k] = part
    return shares


def test_uniform_couplings_over_the_map_divide_by_the_windows_too():
    fields = Fields((3,), (2,), (1,), (0,))
    votes = ConvVotes(torch.ones(1, 3, 1), torch.ones(1, 1, 1, 2), None, fields, True)
    # the middle capsule lies in both windows, the outer ones in one each
    assert votes.mix(None).flatten().tolist() == [1.5, 1.5]


def test_the_receptive_field_of_one_higher_capsule_is_its_window():
    layer, poses = layer_and_poses((5, 5), (3, 3), (1, 1), (0, 0))
    poses.requires_grad_()
    layer(poses, grid=(5, 5))[0].unflatten(1, (3, 9))[0, :, 4].sum().backward()
    touched = poses.grad[0].abs().sum(1).view(2, 5, 5) > 0
    assert touched[:, 1:4, 1:4].all() and touched.sum() == 18


@pytest.mark.parametrize(("grid", "size"), [((6, 7), (3, 4)), ((5, 4, 3), (3, 2, 2))])
def test_same_padding_divides_and_rounds_up(grid, size):
    layer = CapsuleConv(len(grid), 2, 3, 4, 5, stride=2, padding="same")
    assert layer.output_size(grid) == size


def test_competition_over_the_map_exports_with_any_batch():
    layer = CapsuleConv(2, 2, 3, 4, 5, 2, competition="map").eval()
    shapes = {"poses": {0: torch.export.Dim("batch")}, "activations": None, "grid": (None, None)}
    program = torch.export.export(
        layer, (torch.randn(3, 24, 4), None), {"grid": (3, 4)}, dynamic_shapes=shapes
    ).module()
    for batch in (1, 6):
        poses = torch.randn(batch, 24, 4)
        expected = layer(poses, grid=(3, 4))
        torch.testing.assert_close(program(poses, None, grid=(3, 4)), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"competition": "none"}, "competition: expected 'location' or 'map', got 'none'"),
        (
            {"routing": "dynamo"},
            "routing: expected one of .*, got 'dynamo'; did you mean 'dynamic'",
        ),
        ({"routing": ("dynamic", {"passes": 2})}, "expected options of .*iterations.*got 'passes'"),
        ({"padding": "valid"}, "padding: expected a number, or 'same'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        CapsuleConv(2, 2, 3, 4, 5, **options)


def test_a_grid_smaller_than_the_kernel_is_refused_with_sizes():
    layer = CapsuleConv(2, 2, 3, 4, 5, 3)
    with pytest.raises(ValueError, match=r"at least \[3, 3\], got \[2, 5\]; use a larger input"):
        layer(torch.zeros(1, 20, 4), grid=(2, 5))
