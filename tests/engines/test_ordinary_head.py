"""The baseline ordinary_head: the configured features under an ordinary head."""

import pytest
import torch

from capsmed.config import Component, Data, Experiment
from capsmed.engines import build
from capsmed.engines.components import check_components
from capsmed.errors import CheckpointError, ConfigError

CAPSULES = {
    "name": "capsule_classifier",
    "backbone": ["resnet18", {"max_pool": False}],
    "level": 1,
    "head": {"class_dim": 4},
    "decoder": "dense",
}
CHECKED = {"baselines": {"models": ["ordinary_head"]}, "loss": "cross_entropy"}


def experiment(network: object, **sections: object) -> Experiment:
    patch = {"spatial_dims": 2, "size": [16, 16], "spacing": None}
    content = {"name": "x", "data": Data(cohort="demo"), "patch": patch, "network": network}
    return Experiment.model_validate(content | CHECKED | sections)


def test_a_backbones_ordinary_head_is_on_the_whole_of_it_whatever_the_capsules_level():
    network, loss = build.specification(experiment(CAPSULES), "ordinary_head")
    backbone = ["resnet18", {"max_pool": False}]
    assert network == Component(name="backbone_classifier", backbone=backbone)
    assert loss == Component(name="cross_entropy")


def test_a_capsnets_ordinary_head_has_its_encoder():
    capsnet = {"name": "capsnet", "channels": [8], "kernel_sizes": [3], "class_dim": 4}
    network, _ = build.specification(experiment(capsnet), "ordinary_head")
    assert network == Component(name="conv_net", channels=[8], kernel_sizes=[3])


def test_an_encoder_that_follows_from_the_image_is_the_ordinary_heads_too():
    nodules = {"name": "nodule_capsnet", "channels": [4, 6], "class_dim": 4, "dropout": 0.1}
    configured = experiment(nodules)
    network, _ = build.specification(configured, "ordinary_head")
    ordinary = build.build_network(network, configured, 2)
    capsules = build.build_network(configured.network, configured, 2)
    assert str(ordinary.encoder) == str(capsules.encoder)


def test_any_other_model_is_what_is_configured():
    configured = experiment(CAPSULES)
    assert build.specification(configured, "capsule_classifier")[0] == configured.network


def test_head_and_backbone_train_as_configured_under_both_heads(tmp_path):
    training = {"freeze": ["backbone.layer1", "head.primary"], "lr_scale": {"head": 2.0}}
    configured = experiment(CAPSULES, training=training)
    wrapper, _ = build.build_wrapper(configured, "ordinary_head", 2, tmp_path)
    optimizer = build.build_optimizer(configured.optimizer, wrapper.network, {"head": 2.0})
    assert wrapper.frozen == ("backbone.layer1",)
    head = {id(parameter) for parameter in wrapper.network.head.parameters()}
    doubled = [group["params"] for group in optimizer.param_groups if group["lr_scale"] == 2.0]
    assert {id(parameter) for group in doubled for parameter in group} == head


@pytest.mark.parametrize("frozen", [["backbone"], ["backbone.layer3"]])
def test_what_is_frozen_must_have_weights_under_the_ordinary_head(tmp_path, frozen):
    start = build.build_network(experiment(CAPSULES).network, experiment(CAPSULES), 2)
    state = {k: v for k, v in start.backbone.state_dict().items() if not k.startswith("layer3")}
    torch.save(state, tmp_path / "start.pt")
    training = {"freeze": [name for name in frozen]}
    configured = experiment(CAPSULES, training=training, weights={"file": "start.pt"})
    with pytest.raises(CheckpointError, match=r"ordinary_head: .*got \d+ without weights in start"):
        build.build_wrapper(configured, "ordinary_head", 2, tmp_path)


def test_a_network_that_shares_no_features_has_no_ordinary_head(tmp_path):
    configured = experiment({"name": "efficient_capsnet"}, loss="margin")
    check_components(configured)
    with pytest.raises(ConfigError, match=r"ordinary head \(.*capsnet.*\).*got efficient_capsnet"):
        build.check_fit(configured, tmp_path)


@pytest.mark.parametrize("classes", [[], ["only"]])
def test_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(ValueError, match="classes: expected two or more different labels, got"):
        Data(cohort="demo", classes=classes)
