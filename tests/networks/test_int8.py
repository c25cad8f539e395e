"""Convolutions in 8-bit integers."""

import copy

import pytest
import torch
from torch import nn

from capsmed.networks import CapsNet, ConvNet
from capsmed.networks.inference import for_inference, quantise
from capsmed.networks.layers.inference_conv import InferenceConv
from capsmed.networks.layers.int8_conv import Int8Conv, check_platform, weight_levels

OPTIONS = {"channels": (6, 8), "kernel_sizes": 3, "norm": "batch", "primary_capsules": 3}
pytestmark = pytest.mark.skipif(
    "onednn" not in torch.backends.quantized.supported_engines, reason="torch without oneDNN"
)


@pytest.fixture
def network() -> CapsNet:
    return CapsNet(2, 1, 3, (15, 14), **OPTIONS, primary_kernel=3).eval()


def layers(axes: int, relu: bool = False) -> tuple[nn.Module, Int8Conv]:
    """A convolution and its quantised twin; its weights are whole numbers of steps."""
    kind = {2: nn.Conv2d, 3: nn.Conv3d}[axes]
    conv = kind(3, 5, 3, stride=2, padding=1).requires_grad_(False)
    levels = weight_levels()
    conv.weight.copy_(torch.randint(-levels, levels + 1, conv.weight.shape) / levels)
    conv.weight.flatten(1)[:, 0] = 1  # the largest of each channel
    return conv, Int8Conv(InferenceConv(conv, relu))


@pytest.mark.parametrize("axes", [2, 3])
def test_numbers_that_fit_into_8_bits_come_out_exactly(axes: int) -> None:
    conv, quantised = layers(axes)
    features = torch.randint(0, 256, (2, 3, *(7, 6, 5)[:axes])).float()
    features[:, 0, 0] = 255
    torch.testing.assert_close(quantised(features), conv(features), atol=1e-3, rtol=1e-5)
    signed = torch.randint(-127, 128, features.shape).float()
    signed[:, 0, 0] = 127
    torch.testing.assert_close(quantised(signed), conv(signed), atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("shifts", [(0, 0, 0, 0), (-0.4, -0.4, -0.2, -0.4), (0, -3, 0, -0.4)])
@pytest.mark.parametrize("axes", [2, 3])
def test_a_result_does_not_depend_on_the_rest_of_the_batch(
    axes: int, shifts: tuple[float, ...]
) -> None:
    _, quantised = layers(axes, relu=True)
    by_image = (-1, *[1] * (axes + 1))
    scale, shift = torch.tensor([1, 30, 0.3, 5]).view(by_image), torch.tensor(shifts).view(by_image)
    features = torch.rand(4, 3, *(9, 8, 7)[:axes]) * scale + shift
    alone = torch.cat([quantised(image.unsqueeze(0)) for image in features])
    torch.testing.assert_close(quantised(features), alone, atol=0, rtol=0)


@pytest.mark.parametrize("axes", [2, 3])
def test_empty_batches_single_images_and_what_does_not_fit_are_as_in_torch(axes: int) -> None:
    conv, quantised = layers(axes)
    size = (7, 6, 5)[:axes]
    assert quantised(torch.rand(0, 3, *size)).shape == conv(torch.rand(0, 3, *size)).shape
    image = torch.rand(3, *size)
    torch.testing.assert_close(quantised(image), quantised(image.unsqueeze(0))[0])
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 4 channels instead"):
        quantised(torch.rand(2, 4, *size))
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        quantised(torch.rand(2, 3, *size[1:], 0))


def test_a_conversion_to_another_precision_is_refused_in_words(network: CapsNet) -> None:
    with pytest.raises(ValueError, match=r"expected the other numbers in float32, got .*float16"):
        quantise(network).half()(torch.rand(1, 1, 15, 14).half())


def test_black_images_give_the_bias() -> None:
    conv, quantised = layers(2)
    torch.testing.assert_close(quantised(torch.zeros(1, 3, 5, 5)), conv(torch.zeros(1, 3, 5, 5)))


def test_scores_stay_close_and_the_network_is_unchanged(network: CapsNet) -> None:
    before, image = copy.deepcopy(network.state_dict()), torch.rand(4, 1, 15, 14)
    quantised = quantise(network)
    with torch.no_grad():
        expected = network(image)
    assert 0 < (quantised(image) - expected).abs().max() < 0.03 * expected.max()
    torch.testing.assert_close(network.state_dict(), before, atol=0, rtol=0)
    assert set(quantised.forms.values()) == {"int8"} and quantised.score_kind == "lengths"


def test_kept_parts_stay_in_float32(network: CapsNet) -> None:
    ready = for_inference(network)
    forms = quantise(ready, keep=["primary"]).forms
    assert forms.pop("primary.conv") == "plain" and set(forms.values()) == {"int8"}
    assert set(ready.forms.values()) == {"plain"}


def test_weights_take_a_quarter_of_the_room_and_can_be_loaded(network: CapsNet) -> None:
    quantised, other = (
        quantise(network),
        quantise(CapsNet(2, 1, 3, (15, 14), **OPTIONS, primary_kernel=3)),
    )
    other(torch.rand(1, 1, 15, 14))
    other.load_state_dict(quantised.state_dict())
    image = torch.rand(2, 1, 15, 14)
    torch.testing.assert_close(other(image), quantised(image))
    torch.testing.assert_close(copy.deepcopy(other)(image), quantised(image))
    assert quantised.state_dict()["network.primary.conv.weight"].element_size() == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_export_and_trace_compute_the_same_numbers_in_floats(network: CapsNet) -> None:
    quantised, image = quantise(network), torch.rand(3, 1, 15, 14)
    shapes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(quantised, (image,), dynamic_shapes=shapes).module()
    traced = torch.jit.trace(quantised, image)
    mixed = torch.rand(4, 1, 15, 14) - torch.tensor([0, 0.5, 0, 0.1]).view(-1, 1, 1, 1)
    for images in (torch.rand(1, 1, 15, 14), torch.randn(5, 1, 15, 14), mixed):
        expected = quantised(images)  # a rounding may fall to the other side
        torch.testing.assert_close(exported(images), expected, atol=2e-3, rtol=0)
        torch.testing.assert_close(traced(images), expected, atol=2e-3, rtol=0)


def test_grouped_convolutions_stay_in_float32_and_alone_are_refused() -> None:
    grouped = nn.Conv2d(4, 4, 3, groups=2)
    with pytest.raises(ValueError, match="of one group, got 2D of 2; keep it in float32"):
        Int8Conv(InferenceConv(grouped))
    network = ConvNet(2, 1, 2, (8, 8), channels=(4,), kernel_sizes=3)
    network.encoder = nn.Flatten(2)
    with pytest.raises(ValueError, match="expected a network with 2D or 3D convolutions .* none"):
        quantise(network)


def test_an_unknown_part_and_another_device_are_refused(network: CapsNet) -> None:
    with pytest.raises(ValueError, match="keep: expected .* got 'primry'; did you mean 'primary'"):
        quantise(network, keep=["primry"])
    with pytest.raises(
        ValueError, match="int8: expected a network and images on the CPU, got meta"
    ):
        check_platform(torch.device("meta"))


def test_one_name_to_keep_is_not_read_by_its_letters():
    with pytest.raises(ValueError, match=r"expected a list of names, got 'primary'; write"):
        quantise(nn.Identity(), keep="primary")
