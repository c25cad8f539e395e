"""`train --smoke`: eight cases learnt by heart, or a plain word on why not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from capsmed.cli import main
from capsmed.engines import acceleration
from capsmed.engines.build import build_network
from capsmed.engines.fits import list_fits
from capsmed.engines.run_data import read_data
from capsmed.engines.smoke import Smoke, _trainer, smoke
from capsmed.errors import TrainingError
from tests.engines.blobs import tiny, write_blobs

QUICK = {"network": {"norm": "BATCH", "dropout": 0.0}, "optimizer": {"name": "adam", "lr": 1e-2}}


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_eight_cases_are_learnt_and_nothing_is_written(blobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = files(blobs.parent)
    result = smoke(tiny(str(blobs), **QUICK), base=blobs.parent)
    assert result.passed and result.cases == 8
    assert result.sentence.startswith(f"smoke: 8 of 8 right after {result.steps} steps, ")
    assert "constant learning rate 0.01" in result.sentence
    assert files(tmp_path) == set() and files(blobs.parent) == before


def test_nothing_of_an_earlier_training_in_this_folder_is_obeyed(blobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fold = Path("repeat-0/seed-0/fold-0")
    fold.mkdir(parents=True)
    (fold / acceleration.FILE).write_text("not for a smoke", encoding="utf-8")
    assert smoke(tiny(str(blobs), **QUICK), base=blobs.parent).passed
    assert files(Path(fold)) == {fold / acceleration.FILE}


@pytest.mark.parametrize("way", ["auto", "spectral"])
def test_how_it_computes_is_kept_nowhere_and_measured_never(way, blobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {"CAPSMED_CACHE": str(tmp_path), "CAPSMED_CACHE_GB": "1"}.items():
        monkeypatch.setenv(name, value)
    experiment = tiny(
        str(blobs),
        network=QUICK["network"] | {"kernel_sizes": [5]},
        training={"convolutions": way, "channels_last": True},
        optimizer=QUICK["optimizer"],
    )
    assert smoke(experiment, base=blobs.parent).passed
    assert not (tmp_path / "repeat-0").exists() and not (tmp_path / "convolutions").exists()


def test_a_smaller_training_part_is_taken_whole(tmp_path):
    cohort = write_blobs(tmp_path, patients=10)
    experiment = tiny(str(cohort), split={"inner": 0}, **QUICK)
    assert smoke(experiment, base=tmp_path).cases == 5


def test_a_network_that_cannot_learn_fails_with_its_figures_and_advice(blobs):
    experiment = tiny(str(blobs), optimizer={"name": "adam", "lr": 1e-6})
    message = r"of 8 right after \d+ steps?, .* did not learn.*went from .*; try .*optimizer\.lr"
    with pytest.raises(TrainingError, match=message) as told:
        smoke(experiment, base=blobs.parent, seconds=0.5)
    assert "training.epochs" not in str(told.value)


@pytest.mark.parametrize("lr", [0.0, 1e-30])
def test_a_loss_that_stands_still_ends_it_long_before_the_time_is_over(blobs, lr):
    experiment = tiny(str(blobs), optimizer={"name": "adam", "lr": lr}, network={"dropout": 0.0})
    message = r"stopped because the loss stood still for 200 steps"
    with pytest.raises(TrainingError, match=message) as told:
        smoke(experiment, base=blobs.parent, seconds=60.0)
    assert ("the learning rate is 0" in str(told.value)) == (lr == 0)


def test_a_class_of_weight_zero_is_named(blobs):
    loss = {"name": "capsule", "class_weights": [0.0, 1.0]}
    message = r"loss\.class_weights above 0 for '"
    with pytest.raises(TrainingError, match=message):
        smoke(tiny(str(blobs), loss=loss, **QUICK), base=blobs.parent, seconds=3.0)


def test_one_step_is_one_step():
    assert "8 of 8 right after 1 step, " in Smoke(8, 8, 1, 0.1, 0.5, 0.4, 0.01).sentence


def test_what_was_taken_from_the_weights_file_is_told(blobs, tmp_path):
    told, weights = [], {"file": str(tmp_path / "start.pt"), "into": "encoder"}
    experiment = tiny(str(blobs), weights=weights, **QUICK)
    network = build_network(experiment.network, experiment, 2)
    torch.save(network.encoder.state_dict(), weights["file"])
    smoke(experiment, base=blobs.parent, tell=told.append)
    count = len(network.encoder.state_dict())
    assert told == [f"capsnet: {count} of {count} tensors of encoder from start.pt"]


def test_a_loss_that_is_not_finite_names_the_layer(blobs):
    experiment = tiny(str(blobs), optimizer={"name": "sgd", "lr": 1e30})
    with pytest.raises(TrainingError, match=r"got nan in step 2: the first layer .* 'primary"):
        smoke(experiment, base=blobs.parent)


def test_a_step_beyond_floats_is_told(blobs):
    experiment = tiny(str(blobs), optimizer={"name": "adam", "lr": 1e38, "fused": False})
    with pytest.raises(TrainingError, match="smoke: expected optimiser steps that fit into a floa"):
        smoke(experiment, base=blobs.parent)


def test_frozen_parts_stay_as_they_are_and_a_schedule_is_left_out(blobs):
    experiment = tiny(
        str(blobs), training={"freeze": ["encoder"], "ema": 0.9}, schedule="one_cycle", **QUICK
    )
    assert smoke(experiment, base=blobs.parent).rate == 0.01


def test_class_weights_are_those_of_the_whole_training_part():
    """Ten classes, of which eight cases cannot show each."""
    experiment = tiny(
        "digits",
        data={"cohort": "digits", "classes": None, "limit": 60},
        patch={"size": [8, 8], "window": None},
        loss={"name": "capsule", "class_weights": "balanced"},
        training={"sampling": "natural"},
        split={"by": "case"},
        **QUICK,
    )
    data = read_data(experiment, Path())
    first = list_fits(Path(), experiment, data.splits)[0]
    part = data.positions(first, "train")
    trainer = _trainer(experiment, first, data, part[:8], torch.device("cpu"), Path())
    counts = np.bincount(data.patches.targets.numpy()[part], minlength=10)
    assert trainer.loss.margin.class_weights(10).numpy() == pytest.approx(len(part) / 10 / counts)


def command(*arguments: str) -> list[str]:
    changes = ("--set", "data.limit=60", "--set", "evaluation.bootstrap=100", *arguments)
    return ["train", "--config", "digits", "--device", "cpu", *changes]


def test_the_command_says_how_it_went_and_what_comes_next(tmp_path):
    out = tmp_path / "run 1"
    done = CliRunner().invoke(main, command("--smoke", "--out", str(out)))
    assert done.exit_code == 0, done.output
    assert "smoke: 8 of 8 right after" in done.output
    whole = "--set data.limit=60 --set evaluation.bootstrap=100"
    assert f"whole training: capsmed train --config digits {whole} --out '{out}' --device cpu" in (
        done.output
    )
    assert not out.exists()


def test_a_failing_smoke_ends_with_exit_code_1():
    done = CliRunner().invoke(
        main, command("--smoke", "--set", "optimizer={name: adam, lr: 1e38, fused: false}")
    )
    assert done.exit_code == 1 and "Error: smoke: expected optimiser steps" in done.output


@pytest.mark.slow
def test_under_torchrun_only_the_first_process_works(commands_on_two_ranks):
    ended = [commands[0] for commands in commands_on_two_ranks]
    assert [status for status, _, _ in ended] == [0, 0], ended
    assert [output.count("8 of 8 right") for _, output, _ in ended] == [1, 0]
