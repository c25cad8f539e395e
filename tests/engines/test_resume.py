"""A training that was killed goes on to the weights it would have had, bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from capsmed.engines.display import Display
from capsmed.engines.train import train
from capsmed.handlers import EpochSeed
from tests.engines.blobs import tiny

ROOT = Path(__file__).resolve().parents[2]
FOLDS = ("repeat-0/seed-0/fold-0", "repeat-0/seed-0/fold-1")
#: Workers of the loaders, and the moment and its number as in train_in_child.py.
KILLED = {
    (0, "step", 2): "before-the-first-epoch-ends",
    (2, "step", 8): "in-mid-epoch-of-a-later-fold-with-spawned-workers",
    (0, "write", 3): "during-a-checkpoint-write",
}


@pytest.fixture(scope="module")
def uninterrupted(blobs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    return train(tiny(str(blobs)), base=blobs.parent, out=out)


@pytest.fixture(scope="module")
def killed(blobs, tmp_path_factory) -> dict[tuple, Path]:
    """The run folder of each of the ``KILLED`` trainings, which were not finished."""
    folder = tmp_path_factory.mktemp("killed")
    runs = {training: folder / str(i) for i, training in enumerate(KILLED)}
    trainings = json.dumps([[str(out), *training] for training, out in runs.items()])
    script = str(Path(__file__).with_name("train_in_child.py"))
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, script, str(blobs), trainings]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0 and all(json.loads(done.stdout.splitlines()[-1])), done.stderr
    return runs


def assert_same_run(one: Path, other: Path) -> None:
    """Weights of every fold and all predictions are equal to the last bit."""
    for fold in FOLDS:
        first, second = (weights(run / fold / "checkpoints" / "last.pt") for run in (one, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert (one / "predictions.csv").read_bytes() == (other / "predictions.csv").read_bytes()


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["network"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "finished"),
    list(zip(KILLED, (0, 1, 0), strict=True)),
    ids=list(KILLED.values()),
)
def test_a_killed_training_resumes_bit_for_bit(blobs, killed, uninterrupted, training, finished):
    out = killed[training]
    assert not (out / "metrics.json").exists()
    assert sum((out / fold / "fold.json").exists() for fold in FOLDS) == finished
    experiment = tiny(str(blobs), training={"workers": training[0]})
    train(experiment, base=blobs.parent, out=out, resume=True)
    assert_same_run(uninterrupted, out)


def interrupt_after_the_first_epoch(monkeypatch) -> None:
    def epoch(self, fit, row):
        raise KeyboardInterrupt("Ctrl-C")

    monkeypatch.setattr(Display, "epoch", epoch)


def test_ctrl_c_leaves_a_run_that_resumes(blobs, tmp_path, uninterrupted, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        interrupt_after_the_first_epoch(patch)
        train(tiny(str(blobs)), base=blobs.parent, out=out)
    assert torch.load(out / FOLDS[0] / "checkpoints/last.pt", weights_only=True)["epoch"] == 1
    train(tiny(str(blobs)), base=blobs.parent, out=out, resume=True)
    assert_same_run(uninterrupted, out)


def test_a_checkpoint_without_factors_on_the_learning_rate_resumes(
    blobs, tmp_path, uninterrupted, monkeypatch
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        interrupt_after_the_first_epoch(patch)
        train(tiny(str(blobs)), base=blobs.parent, out=out)
    last = out / FOLDS[0] / "checkpoints/last.pt"
    content = torch.load(last, weights_only=True)
    for group in content["optimizer"]["param_groups"]:
        del group["lr_scale"]
    torch.save(content, last)
    train(tiny(str(blobs)), base=blobs.parent, out=out, resume=True)
    assert_same_run(uninterrupted, out)


def test_without_reseeding_a_resumed_training_would_differ(
    blobs, tmp_path, uninterrupted, monkeypatch
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        interrupt_after_the_first_epoch(patch)
        train(tiny(str(blobs)), base=blobs.parent, out=out)
    monkeypatch.setattr(EpochSeed, "__call__", lambda self, engine: None)
    train(tiny(str(blobs)), base=blobs.parent, out=out, resume=True)
    with pytest.raises(AssertionError, match="assert"):
        assert_same_run(uninterrupted, out)


def test_a_finished_run_is_shown_again_without_training(blobs, uninterrupted):
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*.pt")}
    train(tiny(str(blobs)), base=blobs.parent, out=uninterrupted, resume=True)
    assert {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*.pt")} == before
