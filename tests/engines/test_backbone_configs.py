"""Each shipped configuration of a backbone trains, with an ordinary head beside the capsules."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from capsmed import config, shipped
from capsmed.data import demo
from capsmed.engines.train import train
from capsmed.handlers.checkpoint import read
from capsmed.networks import BACKBONES

NAMES = [name for name in shipped.names("configs") if name.startswith("backbone_")]
SMALL = ["patch.size=[16, 16, 16]", "patch.spacing=2.4", "split.folds=2"]
QUICK = ["training.epochs=1", "training.batch_size=4", "evaluation.bootstrap=100", "device=cpu"]


@pytest.fixture(scope="module")
def lesions(tmp_path_factory) -> Path:
    """The table of a small part of the embedded cohort."""
    return demo.write(tmp_path_factory.mktemp("demo"), cases=8)


@pytest.fixture(scope="module")
def candidates(tmp_path_factory) -> Path:
    """A whole set of 50 x 50 pictures in MedMNIST's layout: dark or bright centres."""
    rng, content = np.random.default_rng(0), {}
    for part in ("train", "val", "test"):
        labels = np.arange(8)[:, None] % 2
        pictures = rng.integers(0, 100, (8, 50, 50))
        pictures[:, 20:30, 20:30] += 100 * labels[:, :, None]
        content |= {f"{part}_images": pictures.astype(np.uint8), f"{part}_labels": labels}
    path = tmp_path_factory.mktemp("whole") / "candidates.npz"
    np.savez(path, **content)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_every_backbone_trains_beside_its_ordinary_head(
    name, lesions, candidates, tmp_path, monkeypatch
):
    monkeypatch.setenv("CAPSMED_DATA", str(tmp_path))
    changes = [*QUICK, f"data.cohort={candidates}"]
    if config.load(name).experiment.patch.spatial_dims == 3:
        changes = [*QUICK, f"data.cohort={lesions}", "data.frame=RAS", *SMALL]
    loaded = config.load(name, changes)
    run = train(loaded.experiment, base=loaded.base, out=tmp_path / "run")
    predictions = pd.read_csv(run / "predictions.csv")
    assert set(predictions["model"]) >= {"capsule_classifier", "ordinary_head"}
    assert np.isfinite(predictions.filter(like="prob_").dropna()).all(axis=None)
    backbone = [
        {key: value for key, value in state["network"].items() if key.startswith("backbone.")}
        for state in (
            read(run / folder / "repeat-0/seed-0/fold-0/checkpoints/last.pt")
            for folder in (".", "baselines/ordinary_head")
        )
    ]
    shapes = [{key: value.shape for key, value in state.items()} for state in backbone]
    assert shapes[0].items() <= shapes[1].items() and len(shapes[0]) > 20
    assert all(torch.isfinite(value).all() for value in backbone[0].values())


def test_every_backbone_has_a_configuration():
    assert {name.removeprefix("backbone_") for name in NAMES} >= set(BACKBONES)
