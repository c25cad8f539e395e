"""Networks made ready to predict give the same scores as before."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from capsmed.networks import NETWORKS, CapsNet, TrainingWrapper
from capsmed.networks.inference import for_inference
from capsmed.networks.layers.inference_conv import InferenceConv
from capsmed.networks.layers.spectral_conv import spectral
from capsmed.plugins.contracts import network as contract
from capsmed.plugins.contracts.network import Case

ENCODER = {"channels": [4, 6], "kernel_sizes": [5, 3], "strides": [2, 1], "norm": "batch"}
CAPSULES = {"primary_capsules": 2, "primary_dim": 4, "primary_kernel": 3, "class_dim": 5}
RESNET = {"backbone": "resnet18", "level": 1}
#: Options that give each network a batch norm where it can have one.
NORMED = {
    "capsnet": ENCODER | CAPSULES | {"primary_norm": "batch", "decoder_widths": [8]},
    "conv_net": ENCODER | {"dropout": 0.2},
    "baseline_cnn": {"channels": [4, 4, 2], "hidden": [7, 5], "norm": "batch"},
    "capsule_classifier": RESNET,
    "backbone_classifier": RESNET | {"dropout": 0.2},
    "matrix_capsnet": NETWORKS["matrix_capsnet"].example | {"norm": "batch"},
}
CASES = [case for name in sorted(NETWORKS) for case in contract.cases(name, NORMED.get(name))]
FORMS = ["plain", "contiguous", "channels_last", "spectral"]
#: Networks whose norm follows the activation; it stays where it is.
NORM_LAST = {"efficient_capsnet", "matrix_capsnet", "deep_caps"}


def trained(case: Case) -> nn.Module:
    """The network with batch norms that do something, and votes that tell images apart."""
    network = case.network().eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.2, 0.5)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.5)
    return network


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in network.modules())


def scores(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(images)


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.kind}")
def test_scores_stay_and_the_network_is_unchanged(case: Case, tuned: bool) -> None:
    network, images = trained(case), case.images(3)
    before, expected = copy.deepcopy(network.state_dict()), scores(network, images)
    ready = for_inference(network, images if tuned else None)
    torch.testing.assert_close(ready(images), expected, atol=1e-5, rtol=1e-5)
    assert (ready.score_kind, ready.num_classes) == (network.score_kind, network.num_classes)
    torch.testing.assert_close(network.state_dict(), before, atol=0, rtol=0)
    assert norms(ready) == (norms(network) if case.name in NORM_LAST else 0)


@pytest.mark.parametrize("name", ["capsnet", "capsule_classifier"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_export_and_trace_agree_at_unseen_batch_sizes(name: str) -> None:
    case = contract.cases(name, NORMED[name])[-1]
    ready = for_inference(trained(case), case.images(3))
    shapes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(ready, (case.images(3),), dynamic_shapes=shapes).module()
    traced = torch.jit.trace(ready, case.images(3))
    for batch in (1, 5):
        expected = ready(case.images(batch))
        torch.testing.assert_close(exported(case.images(batch)), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(traced(case.images(batch)), expected, atol=1e-5, rtol=1e-5)


def test_decoder_dropout_and_gradients_are_gone() -> None:
    network = CapsNet(2, 1, 3, (14, 13), **ENCODER, **CAPSULES, dropout=0.3)
    ready = for_inference(TrainingWrapper(network))
    kinds = {type(module) for module in ready.train().modules()}
    assert not kinds & {nn.Dropout2d, nn.ReLU, nn.BatchNorm2d} and ready.network.decoder is None
    assert not ready.training and not any(p.requires_grad for p in ready.parameters())
    assert not ready(torch.rand(2, 1, 14, 13, requires_grad=True)).requires_grad
    assert network.decoder is not None and network.encoder.stages[0][3].p == 0.3


class Block(nn.Module):
    """A convolution and its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(image))


class TwiceUsed(nn.Module):
    """A convolution whose result is read before the norm as well as after it."""

    score_kind, num_classes = "logits", 3

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        maps = self.conv(image)
        return (maps + self.norm(maps)).mean((2, 3))


class OneByOne(nn.Module):
    """A chain that is not run as a chain, in a forward that cannot be read."""

    score_kind, num_classes = "logits", 3

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        total = 0.0
        for layer in self.layers if image.sum() > 0 else ():
            image = layer(image)
            total = total + image.mean((2, 3))
        return total


class WeightRead(nn.Module):
    """A convolution whose weight the forward reads as well."""

    score_kind, num_classes = "logits", 3

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(image)).mean((2, 3)) + self.conv.weight.mean()


class WeightReadUnseen(nn.Module):
    """The same in a forward that cannot be read, of a part whose own forward can."""

    score_kind, num_classes = "logits", 3

    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        offset = self.block.conv.weight.mean() if image.sum() < 1e9 else 0
        return self.block(image).mean((2, 3)) + offset


class Rows(nn.Module):
    """A linear layer on rows of an image, and a norm that takes the rows for its channels."""

    score_kind, num_classes = "logits", 8

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(7, 8), nn.BatchNorm1d(8)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.norm(self.linear(image.flatten(1, 2))).mean(2)


@pytest.mark.parametrize("kind", [TwiceUsed, OneByOne, WeightRead, Rows])
def test_a_norm_that_others_would_miss_is_not_folded(kind: type[nn.Module]) -> None:
    network, image = kind().train(), torch.rand(4, 1, 8, 7)
    network(image)
    ready = for_inference(network)
    torch.testing.assert_close(ready(image), scores(network.eval(), image))
    assert ready.folded == []


@pytest.mark.parametrize("given", ["sample", "shape"])
def test_folding_that_changes_scores_is_undone_where_the_image_size_is_known(given: str) -> None:
    network, image = WeightReadUnseen().train(), torch.rand(4, 1, 8, 7)
    network(image)
    network(image)
    ready = for_inference(network, **{given: image if given == "sample" else (1, 8, 7)})
    torch.testing.assert_close(ready(image), scores(network.eval(), image))
    assert ready.folded == [] and ready.forms == {}
    assert for_inference(network).folded == ["block.norm"]  # nobody can tell


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("axes", [2, 3])
def test_every_form_of_a_convolution_gives_the_same_numbers(form: str, axes: int) -> None:
    kind = {2: nn.Conv2d, 3: nn.Conv3d}[axes]
    conv = kind(2, 3, 5, stride=2, padding=1).requires_grad_(False)
    layer = InferenceConv(conv, relu=True)
    layer.use(form)
    for batch in (1, 4):
        features = (
            torch.randn(batch, 2, 11, 9, 10)[..., :9] if axes == 3 else torch.randn(batch, 2, 11, 9)
        )
        expected = conv(features).relu()
        torch.testing.assert_close(layer(features), expected, atol=1e-5, rtol=1e-5)
        layer.load_state_dict({k: 2 * v for k, v in conv.state_dict().items()})
        torch.testing.assert_close(layer(features), conv(features).relu(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_weight_changed_in_place_or_replaced_is_read_anew(form: str) -> None:
    conv, image = nn.Conv2d(2, 3, 5).requires_grad_(False), torch.randn(2, 2, 9, 8)
    layer = InferenceConv(conv)
    layer.use(form)
    before = layer(image)
    conv.weight.mul_(3)
    conv.bias.add_(1)
    torch.testing.assert_close(layer(image), conv(image), atol=1e-5, rtol=1e-5)
    layer.weight = conv.weight = nn.Parameter(-conv.weight, requires_grad=False)
    torch.testing.assert_close(layer(image), conv(image), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(before, layer(image))


@pytest.mark.parametrize("form", FORMS)
def test_batches_without_images_and_images_without_a_batch_are_those_of_torch(form: str) -> None:
    conv = nn.Conv2d(2, 3, 5).requires_grad_(False)
    layer = InferenceConv(conv)
    layer.use(form)
    layer(torch.rand(2, 2, 9, 8))
    for image in (torch.rand(0, 2, 9, 8), torch.rand(2, 9, 8)):
        torch.testing.assert_close(layer(image), conv(image), atol=1e-5, rtol=1e-5)
    with pytest.raises(RuntimeError, match="to have 2 channels, but got 4 channels instead"):
        layer(torch.rand(2, 4, 9, 8))
    assert layer.to("meta")(torch.empty(2, 2, 9, 8, device="meta")).shape == (2, 3, 5, 4)


def test_a_copy_and_a_reloaded_one_predict_alike(tmp_path) -> None:
    case = contract.cases("capsnet", NORMED["capsnet"])[0]
    ready, images = for_inference(trained(case)), case.images(2)
    for layer in ready.modules():
        if isinstance(layer, InferenceConv):
            layer.use("channels_last")
    expected = ready(images)
    torch.save(ready, tmp_path / "ready.pt")
    again = torch.load(tmp_path / "ready.pt", weights_only=False)
    torch.testing.assert_close(again(images), expected)
    torch.testing.assert_close(copy.deepcopy(ready)(images), expected)


def test_a_network_trained_with_spectral_convolutions_becomes_plain_again() -> None:
    network = CapsNet(2, 1, 3, (14, 13), **ENCODER, **CAPSULES).eval()
    network.encoder.stages[0][0] = spectral(network.encoder.stages[0][0])
    image = torch.rand(2, 1, 14, 13)
    ready = for_inference(network)
    assert len(ready.folded) == 2 and len(ready.forms) == 3
    torch.testing.assert_close(ready(image), scores(network, image), atol=1e-5, rtol=1e-5)


def test_a_module_that_is_no_classifier_is_refused_by_what_it_lacks() -> None:
    with pytest.raises(ValueError, match="got a Linear without score_kind and num_classes"):
        for_inference(nn.Linear(2, 2))
