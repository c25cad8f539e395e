"""A convolution of one voxel is a matrix product, and only where that is the same and pays."""

import pytest
import torch
from torch import fx, nn
from torch.nn.modules.module import register_module_forward_hook

from capsmed.networks.layers import pointwise
from capsmed.networks.layers.capsules import PrimaryCapsules
from capsmed.networks.layers.pointwise import convolve

SHAPES = {nn.Conv1d: (3, 5, 7), nn.Conv2d: (3, 5, 2, 7), nn.Conv3d: (3, 5, 2, 4, 7)}


class Told:
    """Remembers whether the convolution itself was asked."""

    def __init__(self, monkeypatch, kind):
        self.asked = 0
        original = kind._conv_forward
        monkeypatch.setattr(kind, "_conv_forward", lambda *a: self._note(original, a))

    def _note(self, original, arguments):
        self.asked += 1
        return original(*arguments)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_the_convolution_s(kind, bias, monkeypatch):
    conv, features = kind(5, 11, 1, bias=bias), torch.rand(SHAPES[kind]).requires_grad_()
    needed = [features, *conv.parameters()]
    wanted = conv(features)
    pull = torch.rand_like(wanted)
    expected = torch.autograd.grad(wanted, needed, pull)
    told = Told(monkeypatch, kind)
    found = convolve(conv, features)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found, needed, pull), expected)
    assert told.asked == 0


def test_under_autocast_it_rounds_as_the_convolution_does():
    conv, features = nn.Conv2d(5, 11, 1), torch.rand(3, 5, 2, 7)
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = convolve(conv, features), conv(features)
    assert found.dtype == wanted.dtype == torch.bfloat16
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": 1, "stride": 2},
        {"kernel_size": 1, "padding": 1},
        {"kernel_size": 1, "groups": 2},
    ],
    ids=str,
)
def test_any_other_convolution_is_called(options, monkeypatch):
    conv, features = nn.Conv2d(4, 6, **options), torch.rand(3, 4, 5, 7)
    wanted, told = conv(features), Told(monkeypatch, nn.Conv2d)
    assert torch.equal(convolve(conv, features), wanted) and told.asked == 1


@pytest.mark.parametrize("change", ["many", "wide", "channels last", "no batch", "empty"])
def test_features_that_do_not_suit_are_convolved(change, monkeypatch):
    width = 41 if change == "wide" else 6  # a weight for each sample: more numbers than features
    conv, features = nn.Conv2d(4, width, 1), torch.rand(3, 4, 5, 7)
    if change in ("many", "wide"):
        monkeypatch.setattr(pointwise, "MOST", features.numel() - (change == "many"))
    if change == "channels last":
        features = features.contiguous(memory_format=torch.channels_last)
    features = {"no batch": features[0], "empty": features[:0]}.get(change, features)
    wanted, told = conv(features), Told(monkeypatch, nn.Conv2d)
    assert torch.equal(convolve(conv, features), wanted) and told.asked == 1


def test_hooks_are_called():
    conv, seen = nn.Conv2d(4, 6, 1), []
    conv.register_forward_hook(lambda *given: seen.append("forward"))
    conv.register_full_backward_hook(lambda *given: seen.append("backward"))
    convolve(conv, torch.rand(3, 4, 5, 7).requires_grad_()).sum().backward()
    assert seen == ["forward", "backward"]


def test_hooks_on_all_modules_and_a_replaced_forward_are_called(monkeypatch):
    conv, features, seen = nn.Conv2d(4, 6, 1), torch.rand(3, 4, 5, 7), []
    hook = register_module_forward_hook(lambda *given: seen.append("everywhere"))
    convolve(conv, features)
    hook.remove()
    monkeypatch.setattr(conv, "forward", lambda given: seen.append("replaced") or given)
    assert convolve(conv, features) is features and seen == ["everywhere", "replaced"]


def test_a_subclass_computes_what_it_is_written_to_compute():
    class Doubled(nn.Conv2d):
        def forward(self, features):
            return 2 * super().forward(features)

    conv, features = Doubled(4, 6, 1), torch.rand(3, 4, 5, 7)
    assert torch.equal(convolve(conv, features), conv(features))


def test_wrong_channels_are_told_by_the_convolution():
    with pytest.raises(RuntimeError, match="expected input.* to have 4 channels"):
        convolve(nn.Conv2d(4, 6, 1), torch.rand(3, 5, 5, 7))


def test_a_read_graph_and_an_exported_one_hold_the_convolution():
    layer = PrimaryCapsules(3, 4, 3, 2, kernel_size=1, stride=1)
    read = [node.target for node in fx.symbolic_trace(layer).graph.nodes]
    assert "conv" in read
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(
        layer, (torch.rand(3, 4, 2, 3, 5),), dynamic_shapes=({0: batch},)
    )
    called = [str(node.target) for node in exported.graph.nodes]
    assert any("conv3d" in name for name in called)
