"""A training that is no longer finite stops at once, says where, and keeps what was good."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from capsmed.data.patches import PatchView
from capsmed.engines.train import train
from capsmed.errors import TrainingError
from capsmed.losses import CapsuleLoss
from tests.engines.blobs import tiny

FOLD = "repeat-0/seed-0/fold-0"


class Failing(nn.Module):
    """A loss that is not finite from its ``good`` + 1st training step on."""

    def __init__(self, good: int = 0) -> None:
        super().__init__()
        self.loss, self.good, self.steps = CapsuleLoss(), good, 0

    def forward(self, output, target):
        self.steps += output["scores"].requires_grad
        factor = float("nan") if self.steps > self.good else 1.0
        return self.loss(output, target) * factor


def explode(blobs: Path, out: Path, **changes) -> str:
    """Train until it stops; return what it says."""
    with pytest.raises(TrainingError, match="expected") as stopped:
        train(tiny(str(blobs), **changes), base=blobs.parent, out=out, allow_import=("tests",))
    assert "\n" not in str(stopped.value)
    return str(stopped.value)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_learning_rate_beyond_floats_is_told(blobs, tmp_path, name):
    said = explode(blobs, tmp_path / "run", optimizer={"name": name, "lr": 1e38, "fused": False})
    assert "fold-0: expected optimiser steps that fit into a float" in said
    assert "try a smaller optimizer.lr (it was 1e+38)" in said


def test_the_layer_the_epoch_and_the_step_are_named(blobs, tmp_path):
    out = tmp_path / "run"
    said = explode(blobs, out, optimizer={"name": "sgd", "lr": 1e30})
    assert f"{out / FOLD}: expected a finite loss, got another in epoch 1, step 2 of 2: " in said
    assert "the first layer whose output is not finite is 'primary.conv'" in said
    assert "No epoch was finished, so nothing but the first weights is kept (last.pt)" in said


def test_images_that_are_not_finite_are_blamed_themselves(blobs, tmp_path, monkeypatch):
    batch = PatchView.batch
    monkeypatch.setattr(PatchView, "batch", lambda *given: batch(*given) / 0)
    assert "the input itself is not finite, look at the images" in explode(blobs, tmp_path / "run")


def test_the_loss_itself_is_blamed_and_the_last_good_epoch_kept(blobs, tmp_path):
    """Three steps are taken for the estimate, two in each epoch."""
    out = tmp_path / "run"
    loss = {"name": f"{Failing.__module__}.Failing", "good": 3}
    said = explode(blobs, out, loss=loss, training={"epochs": 3})
    assert "got another in epoch 2, step 2 of 2: all layers' outputs are finite, the loss" in said
    assert "Epoch 1 was the last good one and is kept (last.pt; --resume goes on from it)" in said
    for name in ("last.pt", "best.pt"):
        content = torch.load(out / FOLD / "checkpoints" / name, weights_only=True)
        assert content["epoch"] == 1
        assert all(value.isfinite().all() for value in content["network"].values())
    assert list(pd.read_csv(out / FOLD / "history.csv")["epoch"]) == [1]


def test_a_network_that_gives_no_finite_inner_loss_is_not_kept(blobs, tmp_path):
    changes = {"training": {"batch_size": 64, "epochs": 1}}
    said = explode(blobs, tmp_path / "run", optimizer={"name": "sgd", "lr": 1e30}, **changes)
    assert "expected a finite loss on the inner part, got another after epoch 1" in said
    assert not list((tmp_path / "run").rglob("history.csv"))


def test_predictions_that_are_not_finite_are_not_kept(blobs, tmp_path):
    changes = {"training": {"batch_size": 64, "epochs": 1}, "split": {"inner": 0}}
    said = explode(blobs, tmp_path / "run", optimizer={"name": "sgd", "lr": 1e30}, **changes)
    assert "expected finite predictions, got others for 12 of 12 cases" in said
    assert not list((tmp_path / "run").rglob("predictions.csv"))


@pytest.mark.slow
def test_two_processes_stop_together_and_name_the_layer(commands_on_two_ranks):
    ended = [commands[1] for commands in commands_on_two_ranks]
    assert all(status != 0 for status, _, _ in ended)
    told = [
        line for _, _, errors in ended for line in errors.splitlines() if line.startswith("Error: ")
    ]
    assert len(set(told)) == 1 and "expected a finite loss, got another in epoch 1" in told[0]
    assert "the first layer whose output is not finite is '" in told[0]
