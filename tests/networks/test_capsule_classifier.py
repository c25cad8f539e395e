import copy
from collections import OrderedDict

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.networks.nets import DenseNet, SegResNet, resnet18
from torch import nn

from capsmed.losses import CapsuleLoss
from capsmed.networks import BackboneClassifier, CapsuleClassifier, CapsuleHead, TrainingWrapper
from capsmed.networks.blocks.backbone import attach


def conv_net() -> nn.Sequential:
    """Maps of 4x10x13, 4x10x13 and 8x5x7 for an image of 10x13."""
    narrow = [nn.Conv2d(1, 4, 3, 1, 1), nn.BatchNorm2d(4)]
    return nn.Sequential(nn.Sequential(*narrow), nn.Conv2d(4, 8, 3, 2, 1))


class Listing(nn.Module):
    """Gives whatever ``arrange`` makes of three maps of 8x8, 4x4 and 1x1."""

    def __init__(self, arrange=list) -> None:
        super().__init__()
        self.arrange = arrange
        sizes = [(1, 2, 2), (2, 3, 2), (3, 5, 4)]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, s, s) for a, b, s in sizes)
        self.fc = nn.Linear(5, 7)

    def forward(self, image):
        maps = [image]
        for conv in self.convs:
            maps.append(conv(maps[-1]))
        return self.arrange(maps[1:])


class Tokens(Listing):
    """Gives the middle map as 16 tokens."""

    def __init__(self) -> None:
        super().__init__(lambda maps: maps[1].flatten(2).transpose(1, 2))


def small(backbone, **options) -> CapsuleClassifier:
    return CapsuleClassifier(2, 1, 3, (16, 16), backbone, **options)


def densenet() -> DenseNet:
    return DenseNet(2, 1, 3, init_features=8, growth_rate=4, block_config=(2, 2))


@pytest.fixture
def network() -> CapsuleClassifier:
    return CapsuleClassifier(2, 1, 3, (10, 13), conv_net(), decoder="dense", decoder_widths=(8,))


IMAGE = torch.rand(4, 1, 10, 13, generator=torch.Generator().manual_seed(0))


def test_channels_are_found_by_asking(network):
    assert network.feature_shape == (8, 5, 7)
    assert network.head.primary.conv.in_channels == 8
    assert network.classes is network.head.classes
    assert {name.split(".")[0] for name, _ in network.named_parameters()} == {
        "backbone",
        "head",
        "decoder",
    }


def test_asking_changes_neither_statistics_nor_modes_nor_gradients():
    backbone = conv_net().train()
    backbone[0][1].eval()
    backbone[0][0].weight.requires_grad_(False)
    before = copy.deepcopy(backbone.state_dict())
    attach(backbone, 1, (10, 13))
    torch.testing.assert_close(dict(backbone.state_dict()), dict(before))
    assert backbone.training and backbone[0].training and not backbone[0][1].training
    assert all(p.grad is None for p in backbone.parameters())
    assert [p.requires_grad for p in backbone.parameters()] == [False] + [True] * 5


@pytest.mark.parametrize(
    ("level", "shape"), [(None, (3, 4, 4)), (-1, (5, 1, 1)), (0, (2, 8, 8)), (-2, (3, 4, 4))]
)
def test_of_a_list_the_last_map_of_several_locations_is_taken_unless_told(level, shape):
    network = small(Listing(), level=level)
    assert network.feature_shape == shape
    assert network(torch.rand(2, 1, 16, 16)).shape == (2, 3)


def test_the_heads_kernel_decides_which_map_is_large_enough():
    head = {"primary_kernel": 5}
    assert small(Listing(), head=head).feature_shape == (2, 8, 8)
    assert small(Listing(), head=head | {"primary_padding": 1}).feature_shape == (3, 4, 4)


def test_modules_without_part_in_the_features_are_dropped():
    network = small(Listing(), level=0)
    assert network.dropped == ("convs.1", "convs.2", "fc")
    network(torch.rand(2, 1, 16, 16)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_where_the_backbone_cannot_run_without_them_they_stay_and_do_not_learn():
    backbone = SegResNet(2, 8, 1, 2, blocks_down=(1, 1, 1), blocks_up=(1, 1))
    network = small(backbone, level="down_layers.1")
    idle = {name.split(".")[1] for name, p in network.named_parameters() if not p.requires_grad}
    assert network.dropped == () and {"up_layers", "conv_final"} <= idle
    network(torch.rand(2, 1, 16, 16)).sum().backward()
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)


def test_what_follows_a_level_in_a_chain_of_sequentials_is_removed():
    network = CapsuleClassifier(2, 1, 3, (10, 13), conv_net(), level="0.0")
    assert network.feature_shape == (4, 10, 13)
    assert network.dropped == ("1", "0.1")
    assert [*network.backbone.state_dict()] == ["0.0.weight", "0.0.bias"]


def test_an_inner_level_gives_what_that_layer_gives():
    backbone = densenet().eval()
    batch, reference = torch.rand(3, 1, 16, 16), copy.deepcopy(backbone)
    network = small(backbone, level="features.denseblock1").eval()
    expected = reference.features[:5](batch)
    torch.testing.assert_close(network.features(batch), expected)
    assert network.dropped[-2:] == ("features.norm5", "class_layers")


@pytest.mark.parametrize("backbone", [densenet(), SegResNet(2, 8, 1, 2)], ids=["dense", "seg"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_an_inner_level_is_exported_and_traced_with_any_batch(backbone):
    level = "features.denseblock1" if isinstance(backbone, DenseNet) else "down_layers.1"
    network = small(copy.deepcopy(backbone), level=level).eval()
    example, shapes = torch.rand(3, 1, 16, 16), ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(network, (example,), dynamic_shapes=shapes).module()
    traced = torch.jit.trace(network, example)
    for batch in (torch.rand(1, 1, 16, 16), torch.rand(5, 1, 16, 16)):
        torch.testing.assert_close(exported(batch), network(batch), atol=1e-5, rtol=0)
        torch.testing.assert_close(traced(batch), network(batch), atol=1e-5, rtol=0)


def test_layers_behind_an_inner_level_do_not_run():
    backbone, ran = SegResNet(2, 8, 1, 2), []
    backbone.conv_final.register_forward_hook(lambda *_: ran.append("conv_final"))
    network = small(backbone, level="down_layers.1")
    ran.clear()
    network(torch.rand(2, 1, 16, 16))
    assert ran == []


def test_a_copy_of_a_network_with_an_inner_level_is_its_own():
    network = small(resnet18(spatial_dims=2, n_input_channels=1), level="layer2").eval()
    twin, batch = copy.deepcopy(network), torch.rand(2, 1, 16, 16)
    torch.nn.init.zeros_(network.backbone.conv1.weight)
    assert not torch.allclose(twin(batch), network(batch))
    assert not network.backbone.layer2._forward_hooks


def test_a_pair_of_a_tensor_and_a_list_counts_the_tensor_last():
    assert small(Listing(lambda maps: (maps[0], maps[1:]))).feature_shape == (2, 8, 8)
    assert small(Listing(lambda maps: (maps[0], maps[1:])), level=0).feature_shape == (3, 4, 4)


def test_tokens_with_a_class_token_are_taken():
    def tokens(maps):
        rows = maps[1].flatten(2).transpose(1, 2)
        return torch.cat([rows[:, :1] * 0, rows], 1)

    assert small(Listing(tokens), head={"max_locations": None}).head.grid == (17,)
    assert small(Listing(tokens), head={"token_grid": [4, 4]}).head.grid == (4, 4)


def test_the_wrapper_trains_every_parameter_and_takes_monai_tensors(network):
    wrapper, target = TrainingWrapper(network), torch.tensor([0, 1, 2, 0])
    plain = wrapper.eval()(IMAGE, target)
    meta = wrapper(MetaTensor(IMAGE), MetaTensor(target))
    torch.testing.assert_close(meta["scores"], plain["scores"])
    assert plain["reconstruction"].shape == IMAGE.shape
    CapsuleLoss()(wrapper.train()(IMAGE, target), target).backward()
    assert all(p.grad is not None for p in wrapper.parameters())
    assert wrapper.score_kind == "logits"


def test_bare_monai_tensors_give_the_same_scores(network):
    scores = network.eval()(MetaTensor(IMAGE))
    assert scores.tolist() == network(IMAGE).tolist()
    network.train()(MetaTensor(IMAGE)).sum().backward()


def test_lengths_are_declared_when_asked_for():
    network = small(Listing(), head={"output": "lengths", "class_dim": 5})
    poses, scores = network.capsules(torch.rand(2, 1, 16, 16))
    assert network.score_kind == "lengths" and poses.shape == (2, 3, 5)
    torch.testing.assert_close(scores, poses.norm(dim=-1))


def test_a_head_may_be_a_module():
    head = CapsuleHead(2, 3, 3, (4, 4), class_dim=6)
    network = small(Listing(), head=head, decoder="dense")
    assert network.head is head and network.capsules(torch.rand(1, 1, 16, 16))[0].shape == (1, 3, 6)


class OwnHead(nn.Module):
    """Somebody's head on maps of 3x4x4: class poses of five components without any routing."""

    score_kind = "logits"

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 4 * 4, classes * 5)

    def capsules(self, features):
        poses = self.linear(features.flatten(1)).unflatten(1, (-1, 5))
        return poses, poses.norm(dim=-1)


def test_a_decoder_takes_the_poses_of_somebodys_own_head():
    network = small(Listing(), head=OwnHead(), decoder="dense")
    output = TrainingWrapper(network)(torch.rand(2, 1, 16, 16))
    assert output["poses"].shape == (2, 3, 5) and output["reconstruction"].shape == (2, 1, 16, 16)


@pytest.mark.parametrize("level", [None, "out", 0])
def test_a_dictionary_of_maps_counts_as_a_list_and_its_keys_are_levels(level):
    backbone = Listing(lambda maps: OrderedDict(zip(("out", "aux", "last"), maps, strict=True)))
    network = small(backbone, level=level).eval()
    assert network.feature_shape == ((3, 4, 4) if level is None else (2, 8, 8))
    example = torch.rand(3, 1, 16, 16)
    exported = torch.export.export(network, (example,)).module()
    torch.testing.assert_close(exported(example), network(example), atol=1e-5, rtol=0)


def test_a_bundle_nests_the_backbone_by_target():
    definition = {
        "_target_": "capsmed.networks.CapsuleClassifier",
        "spatial_dims": 3,
        "in_channels": 1,
        "num_classes": 2,
        "input_size": [16, 16, 16],
        "level": "features.denseblock1",
        "backbone": {
            "_target_": "monai.networks.nets.DenseNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": 2,
            "init_features": 8,
            "growth_rate": 4,
            "block_config": [2, 2],
        },
    }
    network = ConfigParser({"network_def": definition}).get_parsed_content("network_def")
    assert network.feature_shape == (16, 4, 4, 4)
    assert network(torch.rand(2, 1, 16, 16, 16)).shape == (2, 2)


REFUSED = [
    (
        densenet(),
        {},
        r"map .* at least 2 locations, .* got \[1, 3\]; set level to one of: .*block1",
    ),
    (nn.Conv2d(1, 4, 16), {}, r"at least 2 locations.* got \[1, 4, 1, 1\]; give a larger input"),
    (Listing(), {"level": 3}, r"level: expected -3 to 2, got 3; .* 0 \[2, 8, 8\], 1 \[3, 4, 4\]$"),
    (Listing(), {"level": -1, "head": {"primary_kernel": 3}}, r"3x3 or more\], .*; set .*: 0 \["),
    (Listing(), {"level": "convs.7"}, "level: expected the name of a layer .*did you mean 'convs"),
    (Listing(), {"level": "fc"}, "level: expected a layer that runs, got 'fc'; name another"),
    (Listing(lambda maps: {"out": 3}), {}, r"or dict of tensors, got a dict; .*: convs.1 \["),
    (Listing(lambda maps: []), {}, "or dict of tensors, got a list"),
    (
        Listing(lambda maps: {"out": maps[0]}),
        {"level": "oot"},
        r"a layer of the backbone \(convs, fc.*, or one of its features \(out\), .* mean 'out'",
    ),
    (Listing(), {"level": True}, "level: expected a number, a name or None, got True"),
    (Listing(), {"level": 1.0}, "level: expected a number, a name or None, got 1.0"),
    (conv_net().double(), {}, r"of torch.float32, .* got torch.float64; convert .*\.to\(torch.fl"),
    (Listing(), {"head": {"primary_kernl": 3}}, "head: expected .* mean 'primary_kernel'"),
    (("resnet18", {"max_pol": False}), {}, "backbone resnet18: expected .* mean 'max_pool'"),
    (Listing(), {"head": OwnHead(4)}, r"poses \[1, 3, dim\] .* got \[1, 4, 5\] and \[1, 4\]"),
    (Listing(), {"head": OwnHead(), "level": 0}, r"to take \[1, 2, 8, 8\] .* got RuntimeError: "),
    (
        nn.Conv3d(1, 2, 3),
        {},
        r"takes an image \[1, 1, 16, 16\], got RuntimeError: Calculated padded",
    ),
    (Listing(), {"head": nn.Linear(2, 2)}, "head: .* got a Linear without capsules and score_kind"),
    (None, {}, "backbone: expected a module, one of .*, or a pair of name and options, got None"),
    (3, {}, "backbone: expected a module, one of .* got 3"),
    (nn.Conv2d, {}, "backbone: expected a module, one of .* got the class <class .*Conv2d"),
    (("resnet18",), {}, r"backbone: .* a pair of name and options, got \('resnet18',\)"),
    (("resnet18", 3), {}, r"backbone: .* a pair of name and options, got \('resnet18', 3\)"),
    (
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(0, 1)),
        {},
        r"backbone: expected features \[2, 14, 14\] of two images, .* got \[8, 14, 14\]; keep",
    ),
    (Tokens(), {"head": {"token_grid": [16]}}, r"token_grid: expected 2 numbers, got \[16\]"),
    (Tokens(), {"head": {"token_grid": [3, 3]}}, r"of 16 locations .* such as \[4, 4\], got"),
    (Listing(), {"decoder": "deep"}, r"decoder: expected one of \['conv', 'dense'\] or None"),
]


@pytest.mark.parametrize(("backbone", "options", "message"), REFUSED)
def test_what_cannot_be_used_is_refused_with_what_can(backbone, options, message):
    with pytest.raises(ValueError, match=message):
        small(copy.deepcopy(backbone), **options)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ((2, 1, 3, 64), "input_size: expected one number an axis, got 64"),
        ((2, 1, 3, (8, 8, 8)), r"input_size: expected 2 numbers, one an axis, got \[8, 8, 8\]"),
        ((2, 1, 3, (8, 0)), "input_size: expected 1 or more, got 0"),
        ((1, 1, 3, (64,)), "spatial_dims: expected 2 or 3, got 1"),
        ((2, 1, 2.0, (16, 16)), "num_classes: expected a whole number of 1 or more, got 2.0"),
        ((2, 0, 3, (16, 16)), "in_channels: expected 1 or more, got 0"),
    ],
)
@pytest.mark.parametrize("kind", [CapsuleClassifier, BackboneClassifier])
def test_what_is_no_image_is_refused_by_the_options_name(kind, image, message):
    with pytest.raises(ValueError, match=message):
        kind(*image, backbone=conv_net())


def test_at_most_eight_levels_that_learn_are_listed_deepest_sizes_first():
    stages = [nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(1, 1, 3), nn.MaxPool2d(2))]
    shrinking = [nn.Conv2d(1, 1, 3) for _ in range(11)]
    backbone = nn.Sequential(*stages, nn.ReLU(), *shrinking, nn.Flatten(), nn.Linear(2 * 2, 3))
    with pytest.raises(ValueError, match="set level to one of: ") as error:
        CapsuleClassifier(2, 1, 3, (48, 48), backbone)
    listed = str(error.value).split("one of: ")[1]
    assert listed.startswith("12 [1, 2, 2], 11 [1, 4, 4]") and listed.count("[") == 8
    assert "49, 49" not in listed
