"""The threshold that a run calls cases at: fixed, or chosen in each fold on its inner part."""

import json

import numpy as np
import pandas as pd
import pytest

from capsmed.engines.evaluate import evaluate
from capsmed.engines.run_data import read_data
from capsmed.engines.train import train
from capsmed.errors import ConfigError
from capsmed.metrics.chosen_inside import chosen_threshold
from tests.engines.blobs import tiny

WIDE = {"folds": 2, "inner": 0.4}


@pytest.fixture(scope="module")
def run(blobs, tmp_path_factory):
    experiment = tiny(
        str(blobs),
        split=WIDE,
        evaluation={"threshold": "sensitivity", "sensitivity": 1.0},
        baselines={"models": ["size_only", "ordinary_head"]},
    )
    return train(experiment, base=blobs.parent, out=tmp_path_factory.mktemp("chosen") / "run")


@pytest.mark.parametrize("home", ["", "baselines/ordinary_head"])
@pytest.mark.parametrize("fold", [0, 1])
def test_each_fold_calls_its_test_part_at_what_its_inner_part_gave(run, home, fold):
    folder = run / home / f"repeat-0/seed-0/fold-{fold}"
    inner = pd.read_csv(folder / "inner.csv")
    lowest = inner["prob_large"][inner["label"] == "large"].min()
    record = json.loads((folder / "fold.json").read_text())
    assert record["threshold"] == pytest.approx(lowest)
    assert record["threshold_method"] == "sensitivity 1 on the inner part"
    assert set(pd.read_csv(folder / "predictions.csv")["threshold"]) == {record["threshold"]}


def test_sensitivity_is_that_of_the_folds_own_thresholds(run):
    rows = pd.read_csv(run / "predictions.csv").query("model == 'capsnet' and label == 'large'")
    share = (rows["prob_large"] >= rows["threshold"]).mean()
    found = json.loads((run / "metrics.json").read_text())
    assert found["model"]["sensitivity"]["value"] == pytest.approx(share)
    assert (
        pd.read_csv(run / "predictions.csv").query("model == 'size_only'")["threshold"].isna().all()
    )


def test_another_cohort_is_called_at_the_mean_of_the_folds_thresholds(run, blobs):
    found = evaluate(run, cohort=str(blobs), overlap="out-of-fold", name="other")
    paths = run.glob("repeat-0/seed-0/fold-*/fold.json")
    mean = np.mean([json.loads(path.read_text())["threshold"] for path in paths])
    rows = pd.read_csv(found / "predictions.csv").query("model == 'capsnet'")
    assert rows["threshold"].to_numpy() == pytest.approx(mean)


def test_a_number_is_the_threshold_of_every_model(blobs, tmp_path):
    asked = tiny(str(blobs), evaluation={"threshold": 0.3}, training={"epochs": 1})
    run = train(asked, base=blobs.parent, out=tmp_path / "run")
    assert set(pd.read_csv(run / "predictions.csv")["threshold"]) == {0.3}
    fold = json.loads((run / "repeat-0/seed-0/fold-0/fold.json").read_text())
    assert (fold["threshold"], fold["threshold_method"]) == (0.3, "fixed")


def test_youden_takes_the_best_sum_of_sensitivity_and_specificity():
    rng = np.random.default_rng(0)
    true = rng.random(41) < 0.4
    scores = np.round(rng.normal(true * 0.8, 1), 1)
    found = chosen_threshold(scores, true, None)
    sums = [(scores[true] >= c).mean() + (scores[~true] < c).mean() for c in np.arange(-4, 4, 0.01)]
    best = (scores[true] >= found).mean() + (scores[~true] < found).mean()
    assert best == pytest.approx(max(sums))


def test_of_equally_good_thresholds_the_nearest_to_one_half_is_taken():
    scores = np.array([0.1, 0.2, 0.4, 0.45, 0.9])
    true = np.array([False, True, False, True, True])
    assert chosen_threshold(scores, true, None) == pytest.approx(0.425)


def test_scores_all_alike_give_that_score():
    assert chosen_threshold(np.full(4, 0.7), np.array([True, False, True, False]), None) == 0.7


def test_without_an_inner_part_there_is_nothing_to_choose_on(blobs):
    asked = tiny(str(blobs), split={"inner": 0.0}, evaluation={"threshold": "youden"})
    with pytest.raises(ConfigError, match="evaluation.threshold: expected a number where folds"):
        read_data(asked, blobs.parent, show=False)


def test_more_than_two_classes_have_no_threshold(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for n in range(12):
        np.save(tmp_path / f"{n}.npy", rng.random((12, 12)).astype(np.float32))
        rows.append((f"c{n}", f"p{n}", f"{n}.npy", "abc"[n % 3]))
    table = pd.DataFrame(rows, columns=["case_id", "patient_id", "image", "label"])
    table.to_csv(tmp_path / "cohort.csv", index=False)
    asked = tiny("cohort.csv", data={"classes": None}, evaluation={"threshold": 0.3})
    with pytest.raises(ConfigError, match="expected 0.5 with 3 classes"):
        read_data(asked, tmp_path, show=False)
