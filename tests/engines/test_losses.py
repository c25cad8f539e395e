"""Class weights from a fold's training part, and a margin that follows the training."""

import pytest
import torch

from capsmed.config import Component
from capsmed.engines.build import build_loss, check_fit, specification
from capsmed.engines.components import check_components
from capsmed.engines.display import Display
from capsmed.engines.fits import ORDINARY_HEAD
from capsmed.engines.train import train
from capsmed.errors import ConfigError
from capsmed.losses import LOSSES
from tests.engines.blobs import tiny, write_blobs

NATURAL = {"sampling": "natural", "epochs": 1}


@pytest.mark.parametrize("name", ["margin", "spread", "cross_entropy"])
def test_balanced_weights_come_from_the_cases_of_the_training_part(name):
    loss = build_loss(Component(name=name, class_weights="balanced"), [30, 10])
    torch.testing.assert_close(loss.class_weights(2), torch.tensor([2 / 3, 2.0]))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_weights_that_do_not_fit_the_classes_are_the_configurations_fault(name):
    message = rf"loss \({name}\): class_weights: expected 2 numbers, one a class, got 3"
    with pytest.raises(ConfigError, match=message):
        build_loss(Component(name=name, class_weights=[1, 2, 3]), [30, 10])


@pytest.mark.parametrize("weights", ["balanced", [1.0, 3.0]])
def test_a_run_with_class_weights_trains_both_models_with_them(tmp_path, weights):
    write_blobs(tmp_path, patients=17)
    experiment = tiny(
        "cohort.csv",
        loss={"name": "capsule", "class_weights": weights},
        training=NATURAL,
        baselines={"models": ["ordinary_head"]},
    )
    assert specification(experiment, ORDINARY_HEAD)[1].options == {"class_weights": weights}
    assert (train(experiment, base=tmp_path, out=tmp_path / "run") / "metrics.json").exists()


@pytest.mark.parametrize("weights", ["balanced", [1, 2.5], None])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_takes_class_weights_from_a_configuration(name, weights):
    check_components(tiny("no.csv", loss={"name": name, "class_weights": weights}))


@pytest.mark.parametrize("weights", ["balance", 2.0, [1, "two"]])
def test_class_weights_of_another_kind_are_refused(weights):
    experiment = tiny("no.csv", loss={"name": "margin", "class_weights": weights})
    with pytest.raises(ConfigError, match="loss.class_weights: expected .*'balanced'"):
        check_components(experiment)


def test_balancing_twice_is_refused_before_data_are_read(tmp_path):
    experiment = tiny("no.csv", loss={"name": "margin", "class_weights": "balanced"})
    with pytest.raises(ConfigError, match="'balanced' only with training.sampling natural"):
        check_fit(experiment, tmp_path)


def test_the_wrong_number_of_weights_ends_a_run_without_a_traceback(tmp_path):
    write_blobs(tmp_path)
    experiment = tiny("cohort.csv", loss={"name": "margin", "class_weights": [1, 2, 3]})
    with pytest.raises(ConfigError, match="class_weights: expected 2 numbers, one a class, got 3"):
        train(experiment, base=tmp_path, out=tmp_path / "run")


def test_the_spread_losss_margin_goes_on_where_a_training_was_interrupted(
    blobs, tmp_path, monkeypatch
):
    def interrupt(self, fit, row):
        raise KeyboardInterrupt("Ctrl-C")

    experiment = tiny(str(blobs), loss="spread")
    whole = train(experiment, base=blobs.parent, out=tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        patch.setattr(Display, "epoch", interrupt)
        train(experiment, base=blobs.parent, out=tmp_path / "rest")
    rest = train(experiment, base=blobs.parent, out=tmp_path / "rest", resume=True)
    assert (whole / "predictions.csv").read_bytes() == (rest / "predictions.csv").read_bytes()
