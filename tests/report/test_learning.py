"""'Did it learn?' in the report: quiet when all is well, plain when it is not."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from capsmed.report import write_report


def area(value: float) -> dict:
    return {"value": value, "low": max(value - 0.08, 0), "high": min(value + 0.08, 1)}


def part(value: float, cases: int = 60) -> dict:
    skilled = {"accuracy": value, "balanced_accuracy": value, "cases": cases, "classes": 2}
    return {"auc": area(value), **skilled}


def facts(train: float, test: float, capsules: bool = True) -> dict:
    """What a fold records, with these AUCs."""
    counts = [0] * 19 + [60]
    activations = {"longest": 0.95, "own": counts, "other": counts[::-1]}
    terms = {"margin": 0.1, "reconstruction": 0.05} if capsules else {}
    loss = {"value": 0.15, "terms": terms, "first": 0.5, "last": 0.1}
    return {
        "train": part(train),
        "inner": part(test),
        "test": part(test),
        "held_out": part(test),
        "spread": 0.2,
        "activations": activations if capsules else None,
        "loss": {**loss, "epochs": 20, "chosen_epoch": 19},
        "options": ["network.dropout", "network.norm"],
    }


def record(run: Path, found: dict[int, dict], home: str = "") -> None:
    """Put facts into the folds' records."""
    for fold, learning in found.items():
        path = run / home / f"repeat-0/seed-0/fold-{fold}" / "fold.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = json.loads(path.read_text()) if path.exists() else {"schema_version": 1}
        path.write_text(json.dumps({**content, "learning": learning}))


def page(run: Path) -> str:
    return " ".join(write_report(run).read_text(encoding="utf-8").split())


def test_a_run_that_learnt_says_so_in_one_quiet_sentence(make_run):
    run = make_run(size=(8, 8))
    record(run, {fold: facts(0.97, 0.9) for fold in range(5)})
    text = page(run)
    sentence = "AUC (mean of 5 trainings): training part 0.970, inner part 0.900, test part 0.900."
    assert f'<p class="quiet">{sentence}</p>' in text
    assert "Did it learn?" not in text


def test_folds_that_did_not_learn_are_named_before_the_results_with_the_figure(make_run):
    run = make_run(size=(8, 8))
    record(run, {fold: facts(0.51 if fold in (1, 3) else 0.97, 0.9) for fold in range(5)})
    text = page(run)
    said = "capsnet, fold 1 and fold 3 of 5: did not learn.</strong> Fold 1: training AUC 0.51"
    assert said in text and text.index(said) < text.index("<h2>Results")
    assert "Try an optimizer.lr ten times larger or smaller, or more training.epochs" in text
    assert "network.init_scale" not in text
    ElementTree.parse(run / "plots" / "learning.svg")


def test_a_baseline_that_did_not_learn_is_told_too(make_run):
    run = make_run(size=(8, 8), head=True)
    record(run, {fold: facts(0.97, 0.9) for fold in range(5)})
    record(run, {0: facts(0.5, 0.5, capsules=False)}, "baselines/ordinary_head")
    assert "ordinary head, fold 0 of 1: did not learn." in page(run)


def test_folds_too_small_each_are_judged_by_all_test_parts_together(make_run):
    run = make_run(size=(8, 8), sharpness=0.0)
    small = facts(0.97, 0.55) | {"held_out": {**part(0.55, 11), "auc": area(0.75)}}
    record(run, dict.fromkeys(range(5), small))
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["model"]["auc"] |= area(0.55)
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert "capsnet, all folds together: only memorised the training part." in page(run)


@pytest.mark.parametrize("capsules", [True, False])
def test_the_figure_has_panels_for_what_there_is(make_run, capsules):
    run = make_run(size=(8, 8))
    record(run, {fold: facts(0.5, 0.5, capsules) for fold in range(5)})
    write_report(run)
    drawn = (run / "plots" / "learning.svg").read_text(encoding="utf-8")
    assert ("share of the loss" in drawn) == capsules
    assert "AUC, chance at 0.5" in drawn and "fold 4" in drawn


def test_an_older_run_without_the_facts_still_reports(make_run):
    run = make_run(size=(8, 8))
    assert "Did it learn?" not in page(run)
    assert not (run / "plots" / "learning.svg").exists()


def test_one_class_for_every_test_case_is_told_even_where_training_parts_hide_it(make_run):
    """All probabilities between 0.45 and 0.50: a ranking, but sensitivity 0 at 0.5."""
    run = make_run(size=(8, 8))
    record(run, {fold: facts(0.85, 0.8) for fold in range(5)})
    table = pd.read_csv(run / "predictions.csv")
    table["prob_malignant"] = 0.45 + 0.049 * table["prob_malignant"]
    table["prob_benign"] = 1 - table["prob_malignant"]
    table["threshold"] = np.nan
    table.to_csv(run / "predictions.csv", index=False)
    text = page(run)
    assert "all folds together: did not learn, one class capsule is always the longest" in text
    assert "&#39;benign&#39;, in 100.0% of the cases; balanced accuracy 0.50 (0.45–0.55)" in text
    assert "test predictions, chance is 0.50" in text
