"""Routings that never form a vote, in any precision, without a wait for the device, twice over."""

import pytest
import torch

from capsmed.engines.memory import peak_bytes
from capsmed.networks import CapsuleLinear, Routing
from capsmed.networks.layers import CapsuleConv
from capsmed.plugins.contracts.routed import KINDS
from capsmed.plugins.contracts.routing import Case

NAMES = sorted(name.lower() for name in Routing.names)
VOTE_FREE = sorted(
    {"consistent", "dynamic", "inverted_attention", "self_attention", "self_routing", "uniform"}
)


def backward(layer, inputs):
    poses, activations = layer(*inputs)
    (poses.sum() + activations.sum()).backward()
    return poses, activations


def refuse(self):
    raise AssertionError("votes were formed")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", VOTE_FREE)
def test_a_vote_free_routing_never_asks_for_the_votes(name, kind, monkeypatch):
    case = Case(name, kind)
    layer = case.layer()
    monkeypatch.setattr("capsmed.networks.layers.votes.LinearVotes.dense", refuse)
    backward(layer, case.inputs(layer))


@pytest.mark.parametrize("dimensions", [None, 2, 3])
@pytest.mark.parametrize("name", VOTE_FREE)
def test_a_vote_free_routing_needs_less_memory_than_the_votes(name, dimensions):
    sizes, batch = (8, 24, 4, 64), 16  # lower and higher capsules, their components
    if dimensions is None:
        layer, grid, votes = CapsuleLinear(1024, *sizes[1:], name), (), 1024
    else:
        layer = CapsuleConv(dimensions, *sizes, 2, routing=name)
        grid = (9, 9) if dimensions == 2 else (5, 5, 3)
        votes = layer.fields(grid).count * layer.weight.shape[3]
    lower = 1024 if dimensions is None else 8 * torch.Size(grid).numel()
    poses = torch.randn(batch, lower, 4, requires_grad=True)
    peak = peak_bytes(lambda: layer(poses, grid=grid)[0].sum().backward())
    assert peak < 4 * batch * votes * 24 * 64


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_raised_to_float32_and_gradients_have_their_own_type(name, dtype):
    case = Case(name, "2D convolution")
    layer = case.layer(dtype)
    inputs = [x.requires_grad_() for x in case.inputs(layer)]
    found = backward(layer, inputs)
    given = {x.grad.dtype for x in (*layer.parameters(), *inputs) if x.grad is not None}
    assert given == {dtype}
    assert {x.dtype for x in found} == {torch.promote_types(dtype, torch.float32)}
    expected = layer.double()(*(x.double() for x in inputs))
    torch.testing.assert_close(found, expected, check_dtype=False, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_poses_of_another_precision_are_taken_to_that_of_the_weights(name, dtype):
    case = Case(name, "2D grid")
    layer = case.layer()
    inputs = [x.to(dtype).requires_grad_() for x in case.inputs(layer)]
    assert {x.dtype for x in backward(layer, inputs)} == {torch.float32}
    assert inputs[0].grad.dtype == dtype
    assert {x.grad.dtype for x in layer.parameters() if x.grad is not None} == {torch.float32}


@pytest.mark.parametrize("kind", ["linear", "3D grid", "3D convolution", "2D map"])
@pytest.mark.parametrize("name", NAMES)
def test_no_routing_waits_for_the_device(name, kind):
    """On the meta device a value that is read on the host raises."""
    case = Case(name, kind)
    for gradient in ("last", "full") if case.cls.iterative else (None,):
        layer = case.layer(**({} if gradient is None else {"gradient": gradient})).to("meta")
        poses, _ = backward(layer, [x.to("meta") for x in case.inputs(layer)])
        assert poses.is_meta and layer.weight.grad.is_meta


@pytest.mark.parametrize("name", NAMES)
def test_every_routing_is_one_graph(name):
    case = Case(name, "2D grid")
    layer = case.layer()
    torch.compiler.reset()  # a module that was compiled too often before is not compiled again
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*case.inputs(layer)), layer(*case.inputs(layer)))


TWICE = [
    ("dynamic", {"gradient": "full"}, "2D grid"),
    ("dynamic", {"gradient": "last"}, "2D grid"),
    ("dynamic", {"gradient": "full"}, "2D map"),
    ("consistent", {"gradient": "full"}, "2D grid"),
    ("self_attention", {}, "2D grid"),
    ("inverted_attention", {"gradient": "full"}, "2D grid"),
]


@pytest.mark.parametrize(("name", "options", "kind"), TWICE)
def test_routings_are_differentiated_twice(name, options, kind):
    case = Case(name, kind)
    layer = case.small_layer(**options)
    poses = case.inputs(layer, 1)[0].requires_grad_()
    weight = layer.weight.detach().clone().requires_grad_()

    def call(weight, poses):
        return torch.func.functional_call(layer, {"layer.weight": weight}, (poses,))[0]

    if options.get("gradient") == "last":
        held = torch.autograd.grad(call(weight, poses).sum(), weight, create_graph=True)[0]
        assert held.requires_grad and torch.autograd.grad(held.sum(), poses)[0].isfinite().all()
    else:
        assert torch.autograd.gradgradcheck(call, (weight, poses), fast_mode=True)
