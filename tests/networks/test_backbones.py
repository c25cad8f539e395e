"""Every registered backbone under the capsule head, in 2D and 3D."""

import pytest
import torch
from monai.networks.nets import DenseNet121, ResNetFeatures, SegResNet, SwinUNETR, ViT

from capsmed.networks import BACKBONES, BackboneClassifier, CapsuleClassifier, register_backbone
from capsmed.networks.backbones import DenseNet121Features, build_backbone
from tests.networks.small_backbones import CASES, OPTIONS, classifier, images

QUICK = [("densenet121", 2), ("vit", 2), ("segresnet", 3)]
SLOW = [pytest.param(*case, marks=pytest.mark.slow) for case in CASES if case not in QUICK]

every = pytest.mark.parametrize(("name", "dims"), CASES)


def test_the_small_versions_are_of_every_backbone():
    assert OPTIONS.keys() == BACKBONES.keys()


@every
def test_scores_come_out_and_every_parameter_gets_a_gradient(name, dims):
    network = classifier(name, dims)
    scores = network(images(2, dims))
    torch.nn.functional.cross_entropy(scores, torch.tensor([0, 2])).backward()
    assert scores.shape == (2, 3) and scores.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@every
def test_bfloat16_autocast_gives_float32_scores_near_the_exact_ones(name, dims):
    network, batch = classifier(name, dims).eval(), images(2, dims)
    with torch.no_grad():
        exact = network(batch).softmax(1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(batch)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough.softmax(1), exact, atol=2e-2, rtol=0)


@pytest.mark.parametrize(("name", "dims"), QUICK + SLOW)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_trace_agrees_at_unseen_batch_sizes(name, dims):
    network = classifier(name, dims).eval()
    with torch.no_grad():
        traced = torch.jit.trace(network, images(3, dims))
        for batch in (images(1, dims), images(5, dims)):
            torch.testing.assert_close(traced(batch), network(batch), atol=1e-5, rtol=0)


@every
def test_the_ordinary_head_gives_logits(name, dims):
    network = BackboneClassifier(dims, 1, 3, (32,) * dims, (name, OPTIONS[name]), dropout=0.5)
    network(images(2, dims)).sum().backward()
    assert network.eval()(images(1, dims)).shape == (1, 3)
    assert network.score_kind == "logits" and network.decoder is None
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("dims", [2, 3])
def test_densenet121_with_its_own_head_is_monais_densenet121(dims):
    theirs = DenseNet121(dims, 1, 3).eval()
    ours = BackboneClassifier(dims, 1, 3, (32,) * dims, "densenet121").eval()
    ours.backbone.features.load_state_dict(theirs.features.state_dict())
    ours.head.load_state_dict(theirs.class_layers.out.state_dict())
    batch = images(2, dims)
    torch.testing.assert_close(ours(batch), theirs(batch), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("densenet121", DenseNet121(2, 1, 3)),
        ("segresnet", SegResNet(2, 8, 1, 3)),
        ("swin", SwinUNETR(1, 3, feature_size=24, spatial_dims=2).swinViT),
        ("vit", ViT(1, (32, 32), 16, spatial_dims=2)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parameters_have_the_names_and_shapes_of_monais_network(name, theirs):
    ours = build_backbone(name, 2, 1, (32, 32)).state_dict()
    theirs = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.items()}.items() <= theirs.items()


@pytest.mark.parametrize("dims", [2, 3])
def test_resnet18_gives_monais_maps_and_lets_the_gradient_through_its_shortcuts(dims):
    theirs = ResNetFeatures("resnet18", pretrained=False, spatial_dims=dims).eval()
    ours = build_backbone("resnet18", dims, 1, (32,) * dims).eval()
    ours.load_state_dict(theirs.state_dict())
    batch = images(2, dims)
    torch.testing.assert_close(ours(batch), theirs(batch), atol=0, rtol=0)
    maps = torch.randn(1, 64, *(4,) * dims, requires_grad=True)
    shortcut = ours.layer2[0].downsample
    torch.testing.assert_close(shortcut(maps), theirs.layer2[0].downsample(maps))
    shortcut(maps).sum().backward()
    assert maps.grad.sum() == 64 * 2**dims


def test_without_max_pooling_resnet18_keeps_larger_maps():
    network = CapsuleClassifier(2, 1, 3, (32, 32), ("resnet18", {"max_pool": False}))
    assert network.feature_shape == (512, 2, 2)


def test_a_taken_backbone_name_is_refused_and_the_same_class_is_not():
    register_backbone("densenet121", DenseNet121Features)
    with pytest.raises(ValueError, match="backbones: expected a free name, got 'densenet121'"):
        register_backbone("densenet121", DenseNet121)


def test_an_unknown_backbone_and_an_unknown_option_are_refused():
    with pytest.raises(ValueError, match="one of densenet121, .* got 'resnet17'; did you mean"):
        build_backbone("resnet17", 2, 1, (32, 32))
    with pytest.raises(
        ValueError, match=r"resnet18: expected options of \['max_pool'\], got 'depth'"
    ):
        build_backbone(("resnet18", {"depth": 3}), 2, 1, (32, 32))
