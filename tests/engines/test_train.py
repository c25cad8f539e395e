"""The run folder that training leaves, and what it refuses to start from."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from capsmed import config
from capsmed.data import demo
from capsmed.data.cohort import Cohort
from capsmed.engines.train import train
from capsmed.errors import CheckpointError, ConfigError, DataError
from tests.engines.blobs import tiny, write_blobs


@pytest.fixture(scope="module")
def run(blobs, tmp_path_factory):
    """A run with an ordinary head beside the capsules, two seeds and two repeats of two folds."""
    experiment = tiny(
        str(blobs),
        split={"repeats": 2},
        seeds=[0, 7],
        training={"epochs": 1},
        baselines={"models": ["size_only", "ordinary_head"]},
    )
    return train(experiment, base=blobs.parent, out=tmp_path_factory.mktemp("runs") / "run")


def test_every_case_is_tested_once_in_each_repeat_and_seed_by_every_model(run):
    table = pd.read_csv(run / "predictions.csv")
    counts = table.groupby(["model", "repeat", "seed"])["case_id"].agg(["count", "nunique"])
    assert (counts == 24).all(axis=None)
    assert set(table["model"]) == {"capsnet", "ordinary_head", "size_only"}
    assert np.allclose(table[["prob_small", "prob_large"]].sum(axis=1), 1)


def test_metrics_name_the_classes_and_set_the_baselines_beside_the_network(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["classes"] == ["small", "large"] and metrics["positive"] == "large"
    assert set(metrics["baselines"]) == {"size_only", "ordinary_head"}
    assert metrics["n_cases"] == metrics["n_patients"] == 24


def test_each_fold_keeps_checkpoints_curve_facts_and_examples(run):
    fold = run / "repeat-1" / "seed-7" / "fold-1"
    facts = json.loads((fold / "fold.json").read_text())
    assert (facts["n_train"] + facts["n_inner"], facts["n_test"]) == (12, 12)
    assert list(pd.read_csv(fold / "history.csv")["epoch"]) == [1]
    examples = np.load(fold / "examples.npz")
    assert examples["image"].shape == examples["reconstruction"].shape == (8, 1, 12, 12)
    cuts, rows = np.load(fold / "cuts.npz"), pd.read_csv(fold / "predictions.csv", dtype=str)
    assert cuts["image"].shape == cuts["image_decoded"].shape == (12, 1, 12, 12)
    assert cuts["coupling_image"].shape == (12, 2, 4, 4)
    assert cuts["case_id"].tolist() == rows["case_id"].tolist()
    first = examples["case_id"][0]
    stored = cuts["image"][cuts["case_id"].tolist().index(first)]
    assert stored / 255 == pytest.approx(np.clip(examples["image"][0], 0, 1), abs=0.003)
    assert list((fold / "tensorboard").iterdir())


def test_checkpoints_load_weights_only_and_say_what_the_scores_are(run):
    for name in ("best.pt", "last.pt"):
        path = run / "repeat-0" / "seed-0" / "fold-0" / "checkpoints" / name
        content = torch.load(path, weights_only=True)
        assert content["score_kind"] == "lengths" and content["classes"] == ["small", "large"]


def test_the_ordinary_head_has_the_networks_own_encoder(run):
    capsules = torch.load(run / "repeat-0/seed-0/fold-0/checkpoints/last.pt", weights_only=True)
    path = run / "baselines/ordinary_head/repeat-0/seed-0/fold-0/checkpoints/last.pt"
    plain = torch.load(path, weights_only=True)
    shapes = [
        {name: p.shape for name, p in content["network"].items() if name.startswith("encoder")}
        for content in (capsules, plain)
    ]
    assert shapes[0] == shapes[1] and shapes[0] and plain["score_kind"] == "logits"


def test_an_existing_run_is_neither_overwritten_nor_taken_for_another(blobs, run):
    experiment = tiny(str(blobs))
    with pytest.raises(ConfigError, match="got an existing run; go on with it by"):
        train(experiment, base=blobs.parent, out=run)
    before = (run / "metrics.json").read_bytes()
    with pytest.raises(ConfigError, match=r"got other values .*epochs: 2"):
        train(experiment, base=blobs.parent, out=run, resume=True)
    assert (run / "metrics.json").read_bytes() == before


def test_a_folder_with_other_files_is_left_alone(blobs, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="expected a new or empty folder"):
        train(tiny(str(blobs)), base=blobs.parent, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_damaged_checkpoint_is_named_with_the_way_on(blobs, tmp_path):
    out = train(tiny(str(blobs)), base=blobs.parent, out=tmp_path / "run")
    fold = out / "repeat-0" / "seed-0" / "fold-1"
    last = fold / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    (fold / "fold.json").unlink()
    with pytest.raises(CheckpointError, match=f"{re.escape(str(last))}.*damaged or truncated"):
        train(tiny(str(blobs)), base=blobs.parent, out=out, resume=True)


def test_a_resumed_run_refuses_a_cohort_that_has_changed(tmp_path):
    cohort = write_blobs(tmp_path)
    out = train(tiny("cohort.csv"), base=tmp_path, out=tmp_path / "run")
    write_blobs(tmp_path, patients=20)
    with pytest.raises(DataError, match="the cohort has changed"):
        train(tiny(cohort.name), base=tmp_path, out=out, resume=True)


def test_a_case_that_cannot_be_read_is_left_out_and_listed_on_request(tmp_path):
    write_blobs(tmp_path)
    (tmp_path / "blob3.npy").write_bytes(b"no picture")
    experiment = tiny("cohort.csv", training={"epochs": 1})
    with pytest.raises(DataError, match="blob3.npy"):
        train(experiment, base=tmp_path, out=tmp_path / "run")
    skipping = tiny("cohort.csv", training={"epochs": 1}, data={"on_bad_case": "skip"})
    out = train(skipping, base=tmp_path, out=tmp_path / "run")
    cases = pd.read_csv(out / "cohort.csv").set_index("case_id")
    assert cases.loc["case3", "status"] == "excluded" and cases.loc["case3", "reason"]
    assert (cases["status"] == "included").sum() == 23


def test_three_classes_train_and_report(tmp_path):
    table = pd.read_csv(write_blobs(tmp_path))
    table["label"] = np.tile(["a", "b", "c"], 8)
    table.to_csv(tmp_path / "cohort.csv", index=False)
    experiment = tiny("cohort.csv", data={"classes": ["a", "b", "c"]}, training={"epochs": 1})
    out = train(experiment, base=tmp_path, out=tmp_path / "run")
    metrics = json.loads((out / "metrics.json").read_text())
    assert len(metrics["classes"]) == 3 and 0 <= metrics["model"]["auc"]["value"] <= 1


def test_the_run_folder_alone_says_how_to_repeat_it(run):
    loaded = config.load_run(run)
    assert loaded.experiment.seeds == (0, 7)
    assert (loaded.base / loaded.experiment.data.cohort).exists()


def test_changed_labels_are_not_mixed_into_a_run(tmp_path):
    table = pd.read_csv(write_blobs(tmp_path))
    table["fold"] = np.arange(24) // 2 % 2
    table.to_csv(tmp_path / "cohort.csv", index=False)
    experiment = tiny("cohort.csv", split={"column": "fold"}, training={"epochs": 1})
    out = train(experiment, base=tmp_path, out=tmp_path / "run")
    table.loc[[0, 1], "label"] = ["small", "large"]
    table.to_csv(tmp_path / "cohort.csv", index=False)
    with pytest.raises(DataError, match="expected the labels and images this run was started"):
        train(experiment, base=tmp_path, out=out, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "cross_entropy"}, "scores that are lengths, as capsnet gives, got cross_entropy"),
        ({"network": {"kernel_sizes": [15]}}, r"network \(capsnet\): .*12"),
    ],
)
def test_a_network_that_cannot_be_trained_is_told_before_data_are_read(tmp_path, changes, message):
    experiment = tiny("no_such.csv", **changes)
    with pytest.raises(ConfigError, match=message):
        train(experiment, base=tmp_path, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_files_of_a_start_that_was_killed_do_not_block_the_next(tmp_path):
    write_blobs(tmp_path)
    experiment = tiny("cohort.csv", training={"epochs": 1})
    out = train(experiment, base=tmp_path, out=tmp_path / "run")
    for path in [*out.glob("*.json"), out / "config.yaml", out / "predictions.csv"]:
        path.unlink()
    shutil.rmtree(out / "repeat-0")
    assert train(experiment, base=tmp_path, out=out).exists()


@pytest.mark.parametrize("network", [{"strides": [0]}, {"channels": [-3]}])
def test_impossible_options_are_the_configurations_fault(tmp_path, network):
    with pytest.raises(ConfigError, match=r"network \(capsnet\): "):
        train(tiny("no.csv", network=network), base=tmp_path, out=tmp_path / "run")


def test_a_file_in_the_place_of_the_run_folder_is_told(blobs, tmp_path):
    (tmp_path / "taken").write_text("mine")
    for out in (tmp_path / "taken", tmp_path / "taken" / "run"):
        with pytest.raises(ConfigError, match="got a file or one with other files"):
            train(tiny(str(blobs)), base=blobs.parent, out=out)


def test_a_split_by_case_of_known_patients_says_that_scores_may_be_inflated(blobs, tmp_path):
    experiment = tiny(str(blobs), split={"by": "case"}, training={"epochs": 1})
    out = train(experiment, base=blobs.parent, out=tmp_path / "run")
    assert "scores may be inflated" in json.loads((out / "metrics.json").read_text())["note"]


def test_a_one_cycle_of_a_few_steps_trains(blobs, tmp_path):
    experiment = tiny(str(blobs), schedule="one_cycle", training={"epochs": 1, "batch_size": 8})
    assert train(experiment, base=blobs.parent, out=tmp_path / "run").exists()


def test_the_demo_cohort_used_as_a_table_keeps_its_note(tmp_path):
    table = demo.write(tmp_path / "demo", cases=4)
    cohort = Cohort.read(config.Data(cohort=str(table), frame="RAS"), tmp_path)
    assert cohort.note == demo.NOTE


def test_one_image_of_another_kind_is_a_bad_row_among_others(tmp_path):
    write_blobs(tmp_path)
    np.save(tmp_path / "blob5.npy", np.zeros((16, 16, 3), np.float32))
    skipping = tiny("cohort.csv", training={"epochs": 1}, data={"on_bad_case": "skip"})
    out = train(skipping, base=tmp_path, out=tmp_path / "run")
    cases = pd.read_csv(out / "cohort.csv").set_index("case_id")
    assert list(cases.index[cases["status"] == "excluded"]) == ["case5"]
