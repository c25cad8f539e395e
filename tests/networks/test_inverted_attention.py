import numpy as np
import pytest
import torch

from capsmed.networks import CapsuleLinear, InvertedAttentionRouting
from capsmed.plugins.contracts.routed import LAYERS
from capsmed.plugins.contracts.routing import Case
from tests.reference.inverted_attention_loop import inverted_attention_routing

SIZES = LOWER, HIGHER, IN_DIM, OUT_DIM = 11, 3, 5, 7
OPTIONS = [
    {"iterations": 1},
    {"iterations": 4},
    {"activation": "softmax"},
    {"scaled": True},
]


def arrays(*tensors):
    return tuple(x.detach().numpy() for x in tensors)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("options", OPTIONS)
def test_equals_the_loop_with_every_option(kind, options):
    case = Case("inverted_attention", kind)
    layer = case.layer(**options)
    routing = layer.routing
    torch.nn.init.normal_(routing.norm.weight), torch.nn.init.normal_(routing.norm.bias)
    votes = layer.votes(*case.inputs(layer))
    norm = arrays(routing.norm.weight, routing.norm.bias)
    score = arrays(routing.score.weight[0], routing.score.bias)
    found = arrays(*routing(votes))
    expected = inverted_attention_routing(*arrays(votes.dense()), norm, score, **options)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_poses_are_normalised():
    poses, _ = CapsuleLinear(*SIZES, InvertedAttentionRouting)(torch.randn(2, LOWER, IN_DIM))
    torch.testing.assert_close(poses.mean(2), torch.zeros(2, HIGHER), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        poses.norm(dim=2), torch.full((2, HIGHER), OUT_DIM**0.5), rtol=1e-2, atol=0
    )


@pytest.mark.parametrize(("activation", "to_one"), [("sigmoid", False), ("softmax", True)])
def test_activations_are_a_presence_or_shares(activation, to_one):
    layer = CapsuleLinear(*SIZES, ("inverted_attention", {"activation": activation}))
    _, activations = layer(torch.randn(2, LOWER, IN_DIM))
    assert 0 < activations.min() and activations.max() < 1
    assert ((activations.sum(1) - 1).abs() < 1e-6).all() == to_one


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "relu"}, "activation: expected 'sigmoid' or 'softmax', got 'relu'"),
        ({"out_dim": 1}, "out_dim: expected 2 or more, got 1"),
        ({"iterations": 0}, "iterations: expected 1 or more, got 0"),
    ],
)
def test_a_wrong_option_is_refused(options, message):
    sizes = {"in_capsules": 4, "out_capsules": 3, "in_dim": 2, "out_dim": 2}
    with pytest.raises(ValueError, match=message):
        InvertedAttentionRouting(**{**sizes, **options})
