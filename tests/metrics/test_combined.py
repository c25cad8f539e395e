"""The clinical model and the network's score together."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from capsmed.metrics.combined import combined
from capsmed.metrics.scores import auc

CLASSES = ("benign", "malignant")


def study(network_sd: float, cases: int = 400, seed: int = 0):
    """Two folds; an age and a network's score that each tell something of their own."""
    rng = np.random.default_rng(seed)
    ids = [f"c{n}" for n in range(cases)]
    hidden, seen = rng.normal(size=cases), rng.normal(size=cases)
    true = rng.random(cases) < expit(1.5 * hidden + 1.5 * seen)
    label = np.where(true, *CLASSES[::-1])
    cohort = pd.DataFrame({"case_id": ids, "label": label, "patient": ids, "status": "included"})
    features = pd.DataFrame({"case_id": ids, "age": 60 + 5 * hidden})
    chance = expit(1.5 * seen + rng.normal(0, network_sd, cases))
    rows = pd.DataFrame({"model": "capsnet", "repeat": 0, "seed": 0, "fold": 0, "case_id": ids})
    rows = rows.assign(label=label, prob_benign=1 - chance, prob_malignant=chance)
    parts = []
    for fold in range(2):
        part = np.where(np.arange(cases) % 2 == fold, "test", "train").astype(object)
        part[(part == "train") & (np.arange(cases) % 8 >= 6)] = "inner"
        parts.append(pd.DataFrame({"repeat": 0, "fold": fold, "case_id": ids, "part": part}))
    splits = pd.concat(parts, ignore_index=True)
    pick = {
        name: pd.concat(
            [
                rows[(own["part"] == name).to_numpy()].assign(fold=fold)
                for fold, own in enumerate(parts)
            ]
        )
        for name in ("test", "inner")
    }
    return pick["test"], pick["inner"], features, cohort, splits


def test_it_ranks_better_than_either_where_each_knows_something_of_its_own():
    network, inner, features, cohort, splits = study(0.3)
    found = combined(network, inner, features, cohort, splits, CLASSES)
    assert sorted(found["case_id"]) == sorted(cohort["case_id"]) and set(found["model"]) == {
        "combined"
    }
    area, alone = (auc(t["label"] == "malignant", t["prob_malignant"]) for t in (found, network))
    assert area > alone + 0.05


def test_the_weights_are_those_of_a_regression_on_the_inner_part():
    network, inner, features, cohort, splits = study(0.3)
    found = combined(network, inner, features, cohort, splits, CLASSES)
    here = splits[splits["fold"] == 1].set_index("case_id")["part"]
    table = features.merge(cohort, on="case_id").set_index("case_id")
    train, held = table[here == "train"], table[here == "inner"]
    middle, scale = train["age"].mean(), train["age"].std(ddof=0)
    best = None
    for strength in (10.0, 1.0, 0.1, 0.01):
        model = LogisticRegression(C=strength, class_weight="balanced")
        model.fit(((train["age"] - middle) / scale).to_numpy()[:, None], train["label"])
        odds = model.decision_function(((table["age"] - middle) / scale).to_numpy()[:, None])
        clinical = pd.Series(odds, index=table.index)
        own = inner[inner["fold"] == 1].set_index("case_id").loc[held.index]
        pair = np.column_stack(
            [np.log(own["prob_malignant"] / own["prob_benign"]), clinical[held.index]]
        )
        stacked = LogisticRegression(class_weight="balanced").fit(pair, held["label"])
        rows = network[network["fold"] == 1].set_index("case_id")
        logs = np.column_stack(
            [np.log(rows["prob_malignant"] / rows["prob_benign"]), clinical[rows.index]]
        )
        expected = stacked.predict_proba(logs)[:, 1]
        mine = found.set_index("case_id").loc[rows.index, "prob_malignant"]
        gap = np.abs(mine - expected).max()
        best = gap if best is None else min(best, gap)
    assert best < 1e-4


def test_a_network_of_chance_gets_little_weight():
    network, inner, features, cohort, splits = study(0.3)
    rng = np.random.default_rng(1)
    for rows in (network, inner):
        rows["prob_malignant"] = rng.random(len(rows))
        rows["prob_benign"] = 1 - rows["prob_malignant"]
    found = combined(network, inner, features, cohort, splits, CLASSES)
    age = features.set_index("case_id").loc[found["case_id"], "age"]
    assert np.corrcoef(age.rank(), found["prob_malignant"].rank())[0, 1] > 0.9


def test_a_label_of_a_test_case_changes_nothing():
    network, inner, features, cohort, splits = study(0.3)
    first = combined(network, inner, features, cohort, splits, CLASSES)
    tested = splits.query("fold == 0 and part == 'test'")["case_id"].iloc[0]
    turned = cohort.copy()
    place = turned["case_id"] == tested
    turned.loc[place, "label"] = np.where(turned.loc[place, "label"] == "benign", *CLASSES[::-1])
    again = combined(network, inner, features, turned, splits, CLASSES)
    keys = ["fold", "case_id", "prob_malignant"]
    assert first.query("fold == 0")[keys].equals(again.query("fold == 0")[keys])


def test_another_cohort_is_weighed_by_all_inner_parts():
    network, inner, features, cohort, splits = study(0.3)
    there, _, columns, cases, _ = study(0.3, cases=100, seed=5)
    found = combined(
        there.assign(fold=0), inner, features, cohort, splits, CLASSES, (columns, cases)
    )
    area, alone = (auc(t["label"] == "malignant", t["prob_malignant"]) for t in (found, there))
    assert len(found) == 100 and area > alone


@pytest.mark.parametrize("missing", ["all", "one class"])
def test_without_an_inner_part_of_both_classes_there_is_none(missing):
    network, inner, features, cohort, splits = study(0.3)
    inner = inner.iloc[:0] if missing == "all" else inner[inner["label"] == "benign"]
    assert not len(combined(network, inner, features, cohort, splits, CLASSES))
