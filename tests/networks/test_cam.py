"""MONAI's class activation maps on a capsule head: they need nothing but a layer's name."""

import pytest
import torch
from monai.networks.layers.factories import Act, Conv
from monai.networks.nets import DenseNet121, resnet18
from monai.visualize import GradCAM, OcclusionSensitivity
from torch import nn

from capsmed.networks import CapsuleClassifier
from tests.networks.small_backbones import CASES, MAPS, OPTIONS, classifier, images

pytestmark = [
    # MONAI indexes with a list where torch wants a tuple
    pytest.mark.filterwarnings("ignore:Using a non-tuple sequence for multidimensional indexing"),
    # a hook on a first layer: images need no gradient
    pytest.mark.filterwarnings("ignore:Full backward hook is firing when gradients are computed"),
]
every = pytest.mark.parametrize(("name", "dims"), CASES)


def softmax(scores: torch.Tensor) -> torch.Tensor:
    """Given to MONAI because of its own accord it takes a sigmoid for images of one channel."""
    return scores.softmax(1)


def lesion(size: tuple[int, ...], corner: tuple[int, ...], width: int = 6) -> torch.Tensor:
    """A bright cube in a dark image."""
    image = torch.zeros(1, 1, *size)
    image[(..., *(slice(c, c + width) for c in corner))] = 1
    return image


def awake(network: nn.Module, dims: int) -> nn.Module:
    """With the batch statistics of a few images: an untrained EfficientNet is numb without."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    with torch.no_grad():
        network.train()(images(4, dims))
    return network.eval()


@every
def test_grad_cam_gives_a_finite_map_of_the_images_size(name, dims):
    cam = GradCAM(classifier(name, dims), target_layers=f"backbone.{MAPS[name]}")
    image = lesion((32,) * dims, (4,) * dims)
    heat = cam(image, class_idx=1)
    assert heat.shape == image.shape and heat.isfinite().all()


@every
@pytest.mark.parametrize("corner", [5, 21])
def test_occlusion_matters_where_the_lesion_is_and_nowhere_else(name, dims, corner):
    network, size = awake(classifier(name, dims), dims), (32,) * dims
    occlusion = OcclusionSensitivity(
        network, 16, 8, verbose=False, mode=0.0, overlap=0.0, activate=softmax
    )
    image = 5 * lesion(size, (corner,) * dims) * torch.randn(size)
    usual = softmax(network(image)).view(1, 3, *(1,) * dims)
    change = (occlusion(image)[0] - usual).abs()
    place = [slice(corner // 16 * 16, corner // 16 * 16 + 16)] * dims
    assert change.shape == (1, 3, *size) and change[(..., *place)].min() > 1e-6
    change[(..., *place)] = 0
    assert change.max() < 1e-6


def trained(dims: int) -> CapsuleClassifier:
    """Tells images with a lesion anywhere from images without, after a few steps."""
    conv, relu = Conv["conv", dims], Act["relu"]
    layers = [conv(1, 8, 3, 2, 1), relu(), conv(8, 8, 3, 2, 1), relu()]
    size = (24,) * dims
    network = CapsuleClassifier(dims, 1, 2, size, nn.Sequential(*layers))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(40):
        corners = torch.randint(0, 18, (8, dims)).tolist()
        shown = torch.cat([lesion(size, tuple(corner)) for corner in corners])
        batch = torch.cat([shown, torch.zeros_like(shown)]) + 0.1 * torch.randn(16, 1, *size)
        loss = nn.functional.cross_entropy(network(batch), torch.arange(16) // 8 ^ 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3
    return network


@pytest.mark.parametrize("dims", [2, 3])
def test_grad_cam_points_at_the_lesion_wherever_it_is(dims):
    cam = GradCAM(trained(dims), target_layers="backbone.3", postprocessing=lambda heat: heat)
    for corner in ((2,) * dims, (16,) * dims, (16, 2, 16)[:dims]):
        heat = cam(lesion((24,) * dims, corner), class_idx=1)[0, 0]
        peak = torch.unravel_index(heat.argmax(), heat.shape)
        assert all(abs(int(p) - (c + 3)) <= 5 for p, c in zip(peak, corner, strict=True))


@pytest.mark.parametrize(
    ("backbone", "level"),
    [
        (DenseNet121(2, 1, 2, **OPTIONS["densenet121"]), "features.denseblock2"),
        (resnet18(spatial_dims=2, n_input_channels=1, num_classes=2), "layer3"),
    ],
    ids=["chain", "listener"],
)
def test_grad_cam_takes_the_level_itself_of_a_whole_classifier(backbone, level):
    network = CapsuleClassifier(2, 1, 2, (32, 32), backbone, level=level).eval()
    heat = GradCAM(network, target_layers=f"backbone.{level}")(images(1, 2))
    assert heat.shape == (1, 1, 32, 32) and heat.isfinite().all() and heat.std() > 0
