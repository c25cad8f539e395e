import math

import pytest
import torch

from capsmed.networks import CapsuleHead, Routing, probabilities
from capsmed.networks.blocks.capsule_head import LEAST_ACTIVATION, least_size, log_activations

FEATURES = [(2, (7, 5)), (3, (4, 3, 5)), (1, (11,))]


def head(dims: int, size: tuple[int, ...], **options) -> CapsuleHead:
    return CapsuleHead(dims, 6, 3, size, **options)


def features(dims: int, size: tuple[int, ...], batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, *size, 6) if dims == 1 else torch.randn(batch, 6, *size)


@pytest.mark.parametrize(("dims", "size"), FEATURES)
def test_takes_maps_in_2d_and_3d_and_tokens(dims, size):
    capsules, batch = head(dims, size, class_dim=5), features(dims, size)
    poses, scores = capsules.capsules(batch)
    assert poses.shape == (2, 3, 5) and scores.shape == (2, 3)
    torch.testing.assert_close(capsules(batch), scores)


@pytest.mark.parametrize(("dims", "size"), FEATURES)
def test_softmax_of_logits_is_the_lengths_divided_by_their_sum(dims, size):
    logits, batch = head(dims, size), features(dims, size)
    lengths = head(dims, size, output="lengths")
    lengths.load_state_dict(logits.state_dict())
    expected = probabilities(lengths(batch), lengths.score_kind)
    torch.testing.assert_close(probabilities(logits(batch), logits.score_kind), expected)
    assert (logits.score_kind, lengths.score_kind) == ("logits", "lengths")


@pytest.mark.parametrize("name", sorted(Routing.names))
def test_takes_any_routing(name):
    capsules = head(3, (2, 3, 2), primary_dim=9, class_dim=16, routing=name)
    scores = capsules(features(3, (2, 3, 2)))
    scores.sum().backward()
    assert scores.shape == (2, 3) and scores.isfinite().all()
    assert all(p.grad.isfinite().all() for p in capsules.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("dims", "size", "options", "grid"),
    [
        (2, (7, 5), {}, (7, 5)),
        (2, (64, 9), {}, (8, 5)),
        (3, (16, 16, 2), {}, (4, 4, 2)),
        (3, (16, 9, 16), {"max_locations": None}, (16, 9, 16)),
        (2, (16, 16), {"primary_kernel": 3}, (6, 6)),
        (2, (16, 16), {"primary_kernel": 3, "primary_stride": 2}, (7, 7)),
        (2, (16, 16), {"primary_kernel": 3, "primary_padding": "same"}, (8, 8)),
        (2, (6, 6), {"primary_kernel": 5, "max_locations": 1}, (2, 2)),
        (1, (100,), {}, (50,)),
    ],
)
def test_large_maps_are_averaged_to_few_locations(dims, size, options, grid):
    capsules = head(dims, size, **{"max_locations": 64} | options)
    assert capsules.grid == grid
    assert capsules(features(dims, size)).shape == (2, 3)


def test_unless_told_there_are_at_most_16_locations():
    assert head(2, (7, 5)).grid == (4, 3)
    assert head(3, (16, 16, 2)).grid == (2, 2, 2)
    assert head(1, (100,)).grid == (15,)


def test_averaging_leaves_an_even_map_as_it_is():
    capsules, even = head(2, (21, 16), max_locations=64), torch.ones(1, 6, 21, 16)
    assert capsules.grid == (7, 8)
    torch.testing.assert_close(capsules.pool(even), torch.ones(1, 6, 7, 8))


def test_tokens_with_a_grid_are_the_map_that_they_stand_for_and_the_class_token_is_left_out():
    maps = torch.randn(2, 6, 3, 4)
    on_maps, on_tokens = head(2, (3, 4)), head(1, (13,), token_grid=[3, 4])
    on_tokens.load_state_dict(on_maps.state_dict())
    tokens = torch.cat([torch.randn(2, 1, 6), maps.flatten(2).transpose(1, 2)], 1)
    assert on_tokens.grid == (3, 4)
    torch.testing.assert_close(on_tokens(tokens), on_maps(maps))


def test_without_a_grid_the_class_token_is_one_more_location():
    capsules, tokens = head(1, (16,)), torch.randn(1, 16, 6, requires_grad=True)
    capsules(tokens)[0, 0].backward()
    assert capsules.grid == (16,)
    assert (tokens.grad.abs().sum(2) > 0).all()


def test_logits_are_finite_with_a_gradient_at_zero_activation():
    activations = torch.tensor([0.0, LEAST_ACTIVATION, 0.5], requires_grad=True)
    logits = log_activations(activations)
    logits.sum().backward()
    floor = math.log(LEAST_ACTIVATION)
    expected = torch.tensor([floor - 1, floor, math.log(0.5)])
    torch.testing.assert_close(logits.detach(), expected)
    torch.testing.assert_close(activations.grad, torch.tensor([1e6, 1e6, 2.0]))


def test_a_head_on_zero_features_gives_equal_probabilities_and_finite_gradients():
    capsules, zeros = head(2, (3, 3)), torch.zeros(2, 6, 3, 3, requires_grad=True)
    torch.nn.init.zeros_(capsules.primary.conv.bias)
    scores = capsules(zeros)
    scores[:, 0].sum().backward()
    torch.testing.assert_close(scores.softmax(1), torch.full((2, 3), 1 / 3))
    assert zeros.grad.isfinite().all()


def test_least_size_is_the_kernel_less_its_padding():
    assert least_size(2) == (1, 1)
    assert least_size(2, primary_kernel=5, primary_padding=1, class_dim=4) == (3, 3)
    assert least_size(3, primary_kernel=[3, 3, 1], primary_padding="same") == (1, 1, 1)


@pytest.mark.parametrize(
    ("dims", "size", "options", "message"),
    [
        (2, (2, 4), {"primary_kernel": 3}, r"primary capsules: .* at least \[3, 3\], got \[2, 4"),
        (2, (4, 4, 4), {}, r"input_size: expected 2 numbers, got \[4, 4, 4\]"),
        (2, (4, 4), {"output": "softmax"}, "output: expected 'logits' or 'lengths', got 'softmax'"),
        (2, (4, 4), {"max_locations": 0}, "max_locations: expected 1 or more, or None, got 0"),
        (2, (4, 4), {"token_grid": [4, 4]}, "token_grid: expected None for a feature map"),
        (1, (15,), {"token_grid": [4, 4]}, r"token_grid: .* 15 tokens, or of 14 .* got \[4, 4\]"),
        (1, (16,), {"token_grid": [3, 3]}, r"such as \[4, 4\], got \[3, 3\], which is 9"),
        (1, (28,), {"token_grid": [3, 3, 2]}, r"such as \[3, 3, 3\], got \[3, 3, 2\]"),
        (1, (16,), {"token_grid": [-4, -4]}, "token_grid: expected 1 or more, got -4"),
        (2, (4, 4), {"class_dim": 0}, "class_dim: expected 1 or more, got 0"),
        (2, (4, 4), {"primary_dim": -2}, "primary_dim: expected 1 or more, got -2"),
        (2, (4, 4), {"primary_capsules": 0}, "primary_capsules: expected 1 or more, got 0"),
        (2, (4, 4), {"routing": "dynamics"}, "routing: .* did you mean 'dynamic'"),
        (2, (4, 4), {"routing": ["dynamic", {"passes": 2}]}, "expected options of .* got 'passes'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(dims, size, options, message):
    with pytest.raises(ValueError, match=message):
        head(dims, size, **options)


def test_features_of_another_shape_and_zero_classes_are_refused():
    with pytest.raises(ValueError, match=r"expected features \[batch, 6, 4, 4\], got \[2, 6, 4, 5"):
        head(2, (4, 4))(torch.rand(2, 6, 4, 5))
    with pytest.raises(ValueError, match="num_classes: expected 1 or more, got 0"):
        CapsuleHead(2, 6, 0, (4, 4))
