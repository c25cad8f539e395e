"""Two processes train and predict as one does."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from capsmed.engines.train import train
from capsmed.metrics.scores import auc
from tests.engines.blobs import tiny
from tests.engines.ddp_steps import steps
from tests.engines.torchrun import torchrun


@pytest.mark.slow
def test_two_ranks_hold_equal_weights_and_the_joined_batchs_gradient(tmp_path):
    torchrun(str(Path(__file__).with_name("ddp_steps.py")), str(tmp_path))
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    joined = steps(0, 1)
    gradients = [name for name in joined if name.startswith("gradient")]
    assert any("decoder" in name and joined[name].abs().max() > 1e-2 for name in gradients)
    for name in gradients:
        torch.testing.assert_close(first[name], joined[name], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_two_processes_predict_the_rows_and_the_auc_of_one(blobs, tmp_path):
    experiment = tiny(str(blobs), training={"epochs": 1}, split={"held_out": 0.25})
    alone = train(experiment, base=blobs.parent, out=tmp_path / "alone")
    together = tmp_path / "together"
    shutil.copytree(alone, together)
    for path in [*together.rglob("fold.json"), *together.rglob("predictions.csv")]:
        path.unlink()
    shutil.rmtree(together / "repeat-0" / "seed-0" / "fold-1")  # this one is trained by both
    torchrun("-m", "capsmed", "train", "--resume", str(together))
    tables = [pd.read_csv(run / "predictions.csv") for run in (alone, together)]
    assert list(tables[0]["case_id"]) == list(tables[1]["case_id"])
    assert tables[1]["prob_large"].between(0, 1).all()
    first = [table[(table["model"] == "capsnet") & (table["fold"] == 0)] for table in tables]
    pd.testing.assert_frame_equal(*first, rtol=0, atol=1e-6)
    events = together / "repeat-0/seed-0/fold-1/tensorboard"
    assert len(list(events.iterdir())) == 1  # of the first process alone
    areas = [auc((t["label"] == "large").to_numpy(), t["prob_large"].to_numpy()) for t in first]
    assert areas[0] == areas[1] != 1.0
    held = [pd.read_csv(r / "evaluations/held_out/predictions.csv") for r in (alone, together)]
    assert list(held[0]["case_id"]) == list(held[1]["case_id"])
    ruler = [table[table["model"] == "size_only"] for table in held]
    pd.testing.assert_frame_equal(*ruler, rtol=0, atol=1e-6)
