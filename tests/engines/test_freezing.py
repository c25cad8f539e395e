"""Parts that do not learn, and parts that learn at another rate."""

import copy

import pytest
import torch
from torch import nn

from capsmed.config import Component
from capsmed.engines import build
from capsmed.engines.schedules import SCHEDULES
from capsmed.engines.train import train
from capsmed.errors import ConfigError
from capsmed.handlers.checkpoint import read
from capsmed.networks import CapsNet, TrainingWrapper
from tests.engines.blobs import tiny

FOLD = "repeat-0/seed-0/fold-0"
NORMED = {"norm": "BATCH"}


def network() -> CapsNet:
    return CapsNet(
        2, 1, 2, (12, 12), channels=(4,), kernel_sizes=(3,), norm="BATCH", dropout=0.5,
        primary_capsules=2, primary_dim=4, primary_kernel=3, class_dim=4, decoder=None,
    )  # fmt: skip


def test_frozen_parts_do_not_change_while_the_rest_learns(blobs, tmp_path):
    experiment = tiny(str(blobs), network=NORMED, training={"freeze": ["encoder"]})
    start, _ = build.build_wrapper(experiment, "capsnet", 2, blobs.parent)
    run = train(experiment, base=blobs.parent, out=tmp_path / "run")
    end = read(run / FOLD / "checkpoints" / "last.pt")["network"]
    means = [name for name in end if name.startswith("encoder") and "running_mean" in name]
    assert means and all(torch.equal(end[name], torch.zeros_like(end[name])) for name in means)
    assert start.network.state_dict().keys() == end.keys()


def test_frozen_modules_stay_in_evaluation_mode_in_copies_too():
    wrapper = copy.deepcopy(TrainingWrapper(network(), ["encoder"]).train())
    wrapper.eval().train()
    assert not any(module.training for module in wrapper.network.encoder.modules())
    assert wrapper.network.classes.training and wrapper.network.primary.training


def test_a_frozen_parameter_has_no_gradient_and_no_place_in_the_optimiser():
    wrapper = TrainingWrapper(network(), ["encoder", "primary"])
    optimizer = build.build_optimizer(Component(name="adam"), wrapper.network)
    fitted = {id(p) for group in optimizer.param_groups for p in group["params"]}
    learning = {id(p) for p in wrapper.parameters() if p.requires_grad}
    assert fitted == learning == {id(p) for p in wrapper.network.classes.parameters()}


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"freeze": ["encodr"]}, r"training\.freeze: .*\(classes, .*got 'encodr'; did.*'encoder'"),
        ({"lr_scale": {"clases": 2.0}}, r"training\.lr_scale: .*got 'clases'; did.*'classes'"),
        (
            {"freeze": ["encoder", "primary", "classes", "decoder"]},
            r"training\.freeze: expected a part that still learns.*name fewer",
        ),
    ],
)
def test_wrong_names_and_a_wholly_frozen_network_are_refused(blobs, training, message):
    with pytest.raises(ConfigError, match=message):
        build.check_fit(tiny(str(blobs), training=training), blobs.parent)


def test_the_longest_name_scales_the_rate_and_only_matrices_are_decayed():
    optimizer = build.build_optimizer(
        Component(name="adamw", lr=0.1, weight_decay=0.5),
        network(),
        {"encoder": 0.1, "encoder.stages.0.1": 0.01, "classes": 2.0},
    )
    found = {
        (round(group["lr"], 6), group["weight_decay"], tuple(parameter.shape))
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    norm, stem, primary, bias = (4,), (4, 1, 3, 3), (8, 4, 3, 3), (8,)
    classes = tuple(network().classes.weight.shape)
    assert found == {
        (0.001, 0.0, norm),
        (0.01, 0.5, stem),
        (0.1, 0.5, primary),
        (0.1, 0.0, bias),
        (0.2, 0.5, classes),
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in SCHEDULES] + [("cosine", {"end": 0.01}), ("exponential", {"steps": 3})],
)
def test_schedules_keep_the_ratio_of_the_rates(name, options):
    layers = nn.ModuleDict({"slow": nn.Linear(2, 2), "fast": nn.Linear(2, 2)})
    optimizer = build.build_optimizer(Component(name="sgd", lr=0.1), layers, {"slow": 0.25})
    schedule = build.build_schedule(Component(name=name, **options), optimizer, 7)
    ratios = []
    for _ in range(7):
        optimizer.step()
        schedule.step()
        slow, fast = (
            {g["lr"] for g in optimizer.param_groups if g["lr_scale"] == scale}
            for scale in (0.25, 1.0)
        )
        ratios.append((slow.pop(), fast.pop()))
    assert [slow for slow, _ in ratios] == pytest.approx([fast / 4 for _, fast in ratios])


def test_a_cosine_ends_at_its_learning_rate_whatever_comes_first():
    layers = nn.ModuleDict({"slow": nn.Linear(2, 2), "fast": nn.Linear(2, 2)})
    optimizer = build.build_optimizer(Component(name="sgd", lr=0.1), layers, {"slow": 0.25})
    schedule = build.build_schedule(Component(name="cosine", end=0.01), optimizer, 5)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    rates = {g["lr_scale"]: g["lr"] for g in optimizer.param_groups}
    assert rates == pytest.approx({0.25: 0.0025, 1.0: 0.01})


def test_the_history_shows_the_rate_before_scaling(blobs, tmp_path):
    training = {"lr_scale": {"encoder": 0.1, "classes": 0.1}, "epochs": 1}
    experiment = tiny(str(blobs), training=training, optimizer={"name": "adam", "lr": 0.002})
    run = train(experiment, base=blobs.parent, out=tmp_path / "run")
    row = (run / FOLD / "history.csv").read_text().splitlines()[1]
    assert float(row.split(",")[1]) == pytest.approx(0.002)


def test_the_ordinary_head_freezes_what_it_has_of_the_named_parts(blobs):
    training = {"freeze": ["encoder", "primary"]}
    experiment = tiny(str(blobs), training=training, baselines={"models": ["ordinary_head"]})
    wrapper, _ = build.build_wrapper(experiment, "ordinary_head", 2, blobs.parent)
    assert wrapper.frozen == ("encoder",)
    assert {name for name, p in wrapper.network.named_parameters() if p.requires_grad} == {
        "classifier.0.weight",
        "classifier.0.bias",
    }
