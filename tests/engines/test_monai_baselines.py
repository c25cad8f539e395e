"""DenseNet-121 and ResNet-18 beside the network."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from monai.networks.nets import DenseNet121

from capsmed.config import Component
from capsmed.engines import build
from capsmed.engines.evaluate import evaluate
from capsmed.engines.fits import MONAI
from capsmed.engines.train import train
from capsmed.errors import ConfigError
from capsmed.report import write_report
from capsmed.report.run import read_run
from tests.engines.blobs import tiny, write_blobs


def asked(cohort="cohort.csv", size=(32, 32), models=MONAI, **changes):
    patch = {"spatial_dims": len(size), "size": list(size)}
    return tiny(str(cohort), patch=patch, baselines={"models": list(models)}, **changes)


@pytest.mark.parametrize("size", [(29, 29), (29, 29, 29)])
def test_densenet_is_monais_digit_by_digit(size, tmp_path):
    wrapper, _ = build.build_wrapper(asked(size=size), "densenet121", 3, tmp_path)
    theirs = DenseNet121(len(size), 1, 3).eval()
    theirs.features.load_state_dict(wrapper.network.backbone.features.state_dict())
    theirs.class_layers.out.load_state_dict(wrapper.network.head.state_dict())
    image = torch.randn(1, 1, *size)
    assert torch.allclose(wrapper.network.eval()(image), theirs(image), atol=1e-5)


@pytest.mark.parametrize(("size", "shape"), [((31, 31), (512, 2, 2)), ((32, 32), (512, 1, 1))])
def test_resnet_of_small_images_does_not_pool_before_its_first_stage(size, shape, tmp_path):
    wrapper, _ = build.build_wrapper(asked(size=size), "resnet18", 2, tmp_path)
    assert wrapper.network.feature_shape == shape


def test_patches_too_small_for_densenet_are_refused_before_any_training(tmp_path):
    expected = r"29 or more along each axis for densenet121, .*got \[28, 40\]; .*or resnet18"
    with pytest.raises(ConfigError, match=f"baselines.models: expected patches of {expected}"):
        build.check_fit(asked(size=(28, 40)), tmp_path)


def test_steps_of_one_case_are_refused(tmp_path):
    experiment = asked(models=["resnet18"], training={"epochs": 2, "batch_size": 1})
    with pytest.raises(ConfigError, match="training.batch_size: expected 2 or more with resnet18"):
        build.check_fit(experiment, tmp_path)


def test_both_start_from_chance_and_learn_whole_whatever_the_network_starts_from(tmp_path):
    start = asked(models=())
    whole = build.build_network(start.network, start, 2)
    torch.save(whole.encoder.state_dict(), tmp_path / "start.pt")
    frozen = {"freeze": ["encoder"], "lr_scale": {"classes": 0.1}}
    weights = {"file": "start.pt", "into": "encoder"}
    experiment = asked(models=["resnet18"], weights=weights, training=frozen)
    wrapper, taken = build.build_wrapper(experiment, "resnet18", 2, tmp_path)
    assert taken is None and wrapper.frozen == ()
    assert all(parameter.requires_grad for parameter in wrapper.parameters())


def test_class_weights_are_the_losss():
    loss = {"name": "margin", "class_weights": [1.0, 2.0]}
    _, taken = build.specification(asked(loss=loss), "densenet121")
    assert taken.name == "cross_entropy" and taken.options == {"class_weights": [1.0, 2.0]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with both on fourteen blobs; five training cases leave one over from a step of four."""
    folder = tmp_path_factory.mktemp("monai")
    training = {"epochs": 2, "batch_size": 4, "sampling": "natural", "convolutions": "direct"}
    split = {"folds": 2, "inner": 0.2}
    cohort = write_blobs(folder, patients=14)
    experiment = asked(
        cohort, (29, 29), training=training | {"lr_scale": {"classes": 0.1}}, split=split
    )
    return train(experiment, base=folder, out=folder / "run")


def test_both_train_beside_the_network_and_are_compared_with_it(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics["baselines"]) == ["densenet121", "resnet18"]
    for name in MONAI:
        assert metrics["baselines"][name]["n_cases"] == 14
        assert "value" in metrics["baselines"][name]["auc_difference"]
        fold = run / "baselines" / name / "repeat-0/seed-0/fold-0"
        record = json.loads((fold / "fold.json").read_text())
        assert record["parameters"] > 6e6
        history = pd.read_csv(fold / "history.csv")
        own = pd.read_csv(run / "repeat-0/seed-0/fold-0/history.csv")
        assert history["lr"].tolist() == pytest.approx(own["lr"].tolist())
    table = pd.read_csv(run / "predictions.csv")
    assert np.isfinite(table.filter(like="prob_")).all(axis=None)


def test_the_report_names_and_explains_them(run):
    page = write_report(run).read_text(encoding="utf-8")
    assert "DenseNet-121 reaches AUC" in page and "ResNet-18 reaches AUC" in page
    assert "DenseNet-121 (MONAI): trained from chance" in page
    assert set(read_run(run).rivals) == set(MONAI)


def test_both_predict_another_cohort(run, tmp_path):
    found = evaluate(run, cohort=str(write_blobs(tmp_path, 6, first=100)), name="other")
    assert set(pd.read_csv(found / "predictions.csv")["model"]) == {"capsnet", *MONAI}


def test_a_network_may_not_have_a_baselines_name(tmp_path):
    experiment = asked(models=()).model_copy(update={"network": Component(name="resnet18")})
    with pytest.raises(
        ConfigError, match="network: expected a name that no baseline has, got 'res"
    ):
        build.check_fit(experiment, tmp_path)
