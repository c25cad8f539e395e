"""Convolution by Fourier coefficients: the direct one's numbers, gradients and place."""

import numpy as np
import pytest
import torch
from torch import nn

from capsmed.networks.layers.fourier import real_fourier
from capsmed.networks.layers.products import product
from capsmed.networks.layers.spectral import join_phases, split_phases
from capsmed.networks.layers.spectral_conv import SpectralConv2d, direct, spectral

SHAPES = {
    "the paper's geometry": ((20, 20), 9, 2, 0),
    "uneven kernel, stride and image": ((17, 13), (5, 7), (2, 3), 0),
    "a volume with padding": ((7, 6, 5), (5, 4, 3), (3, 2, 1), (1, 2, 0)),
    "rows that the stride leaves over": ((12, 11), 5, 3, 0),
    "a kernel as large as the image": ((7, 5), (7, 5), 1, 0),
}


def pair(shape, dtype=torch.float64, bias=True):
    size, kernel, stride, padding = SHAPES[shape]
    kind = nn.Conv2d if len(size) == 2 else nn.Conv3d
    conv = kind(3, 5, kernel, stride, padding, bias=bias, dtype=dtype)
    image = torch.randn(2, 3, *size, dtype=dtype, requires_grad=True)
    return conv, spectral(conv), image


@pytest.mark.parametrize("shape", SHAPES)
def test_result_and_all_gradients_are_those_of_the_direct_convolution(shape):
    conv, twin, image = pair(shape)
    grad = torch.randn_like(conv(image))
    needed = (image, conv.weight, conv.bias)
    torch.testing.assert_close(twin(image), conv(image))
    ours = torch.autograd.grad(twin(image), needed, grad)
    torch.testing.assert_close(ours, torch.autograd.grad(conv(image), needed, grad))


def test_single_precision_is_within_rounding_of_double():
    conv, _, image = pair("the paper's geometry")
    result = spectral(conv)(image).detach()
    single = spectral(conv.float())(image.detach().float())
    assert (single - result).abs().max() < 2e-6 * result.abs().max()


def test_an_image_without_gradient_gives_the_weight_its_own():
    conv, twin, image = pair("the paper's geometry", bias=False)
    twin(image.detach()).sum().backward()
    ours, conv.weight.grad = conv.weight.grad, None
    conv(image.detach()).sum().backward()
    torch.testing.assert_close(ours, conv.weight.grad)


def test_parameters_and_their_names_are_those_of_the_direct_convolution():
    conv, twin, _ = pair("the paper's geometry")
    assert isinstance(twin, SpectralConv2d)
    assert twin.weight is conv.weight
    assert twin.bias is conv.bias
    assert list(twin.state_dict()) == list(conv.state_dict())
    back = direct(twin)
    assert type(back) is nn.Conv2d
    assert back.weight is conv.weight


def test_a_kernel_that_is_kept_serves_inference_only(monkeypatch):
    conv, twin, image = pair("the paper's geometry")
    twin.keep_kernel(image)
    monkeypatch.setattr("capsmed.networks.layers.spectral.kernel_coefficients", None)
    with torch.no_grad():
        torch.testing.assert_close(twin(image), conv(image))
    with pytest.raises(TypeError, match="not callable"):
        twin(image)


@pytest.mark.parametrize("change", ["in place", "by a file", "of precision"])
def test_a_kept_kernel_is_not_used_after_a_change(change):
    _, twin, image = pair("the paper's geometry")
    twin.keep_kernel(image)
    if change == "of precision":
        twin, image = twin.float(), image.float()
    elif change == "by a file":
        twin.load_state_dict({name: 2 * each for name, each in twin.state_dict().items()})
    with torch.no_grad():
        twin.weight.mul_(3 if change == "in place" else 1)
        torch.testing.assert_close(twin(image), direct(twin)(image))


@pytest.mark.parametrize("shape", [(0, 3, 20, 20), (3, 20, 20)])
def test_empty_and_single_images_are_those_of_the_direct_convolution(shape):
    conv, twin, _ = pair("the paper's geometry")
    image = torch.rand(shape, dtype=torch.float64)
    torch.testing.assert_close(twin(image), conv(image))
    assert twin.to("meta")(image.to("meta")).shape == conv(image).shape


def test_under_autocast_it_computes_in_the_weight_s_precision_and_returns_bfloat16():
    conv, twin, image = pair("the paper's geometry", torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        result = twin(image.bfloat16())
    assert result.dtype is torch.bfloat16
    torch.testing.assert_close(result, conv(image.bfloat16().float()).bfloat16())


def test_an_exported_network_holds_the_direct_convolution():
    conv, twin, image = pair("the paper's geometry", torch.float32)
    batch = {"image": {0: torch.export.Dim("batch")}}
    exported = torch.export.export(twin.eval(), (image.detach(),), dynamic_shapes=batch)
    names = {str(node.target) for node in exported.graph.nodes}
    assert any("conv2d" in name for name in names)
    other = torch.randn(7, 3, 20, 20)
    torch.testing.assert_close(exported.module()(other), conv(other))


def standardised():
    class Standardised(nn.Conv2d):
        pass

    return Standardised(3, 6, 5)


def hooked():
    conv = nn.Conv2d(3, 6, 5)
    conv.register_forward_hook(lambda *call: None)
    return conv


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(3, 6, 5, groups=3),
        lambda: nn.Conv2d(3, 6, 5, dilation=2),
        lambda: nn.Conv2d(3, 6, 5, padding=1, padding_mode="reflect"),
        lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 6, 5)),
        standardised,
        hooked,
    ],
)
def test_what_it_cannot_do_is_refused(make):
    with pytest.raises(ValueError, match=r"conv: expected torch's own Conv2d or Conv3d"):
        spectral(make())


@pytest.mark.parametrize("size", [(7,), (6,), (5, 4), (4, 3, 2)])
def test_the_real_transform_is_numpy_s_and_its_inverse_undoes_it(size):
    fourier, array = real_fourier(size), np.random.default_rng(0).normal(size=size)
    found = fourier.forward @ array.ravel()
    kept = np.sort(np.abs(np.fft.fftn(array)).ravel())
    single, real, imaginary = np.split(found, np.cumsum([fourier.singles, fourier.pairs]))
    magnitudes = np.abs([*single, *(real + 1j * imaginary), *(real + 1j * imaginary)])
    np.testing.assert_allclose(np.sort(magnitudes), kept, atol=1e-12)
    np.testing.assert_allclose(fourier.inverse @ found, array.ravel(), atol=1e-12)


def test_joining_phases_undoes_splitting_them():
    values = torch.randn(2, 3, 6, 6, 4)
    laid = split_phases(values, (3, 2, 1), (2, 3, 4))
    assert laid.shape == (2, 18, 24)
    torch.testing.assert_close(join_phases(laid, (3, 2, 1), (2, 3, 4), (6, 6, 4)), values)


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_product_is_that_of_torch_for_transposed_views_too(turned, dtype):
    a, b = torch.randn(5, 7, dtype=dtype), torch.randn(7, 3, dtype=dtype)
    a = a.t().contiguous().t() if turned[0] else a
    b = b.t().contiguous().t() if turned[1] else b
    torch.testing.assert_close(product(a, b), a @ b)


@pytest.mark.parametrize("padding", [0, 1])
def test_gradients_can_be_differentiated(padding):
    conv = spectral(torch.nn.Conv2d(2, 3, 5, stride=2, padding=padding).double())
    image = torch.rand(2, 2, 7, 9, dtype=torch.float64, requires_grad=True)
    weight = conv.weight.detach().clone().requires_grad_()

    def run(image, weight):
        return torch.func.functional_call(conv, {"weight": weight}, image)

    assert torch.autograd.gradgradcheck(run, (image, weight))


def test_a_penalty_on_the_image_gradient_reaches_the_weight():
    torch.manual_seed(0)
    direct_conv, image = torch.nn.Conv2d(2, 3, 5), torch.rand(2, 2, 9, 9)
    found = []
    for conv in (direct_conv, spectral(direct_conv)):
        seen = image.clone().requires_grad_()
        (grad,) = torch.autograd.grad(conv(seen).sum(), seen, create_graph=True)
        found += torch.autograd.grad(grad.square().sum(), conv.weight)
    torch.testing.assert_close(*found)
    assert found[0].abs().max() > 1
