"""Baselines from the table and from the lesion, in a run and on another cohort."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from capsmed.engines.evaluate import evaluate
from capsmed.engines.train import train
from capsmed.errors import CheckpointError, DataError
from tests.engines.blobs import tiny, write_blobs

ASKED = {
    "baselines": {
        "models": ["size_only", "radiomics"],
        "clinical": ["age", "smoking"],
        "combined": True,
        "scores": ["reader 1"],
    },
    "evaluation": {"subgroups": ["smoking"]},
}


def with_columns(path):
    """The table with an age that tells a little, words, a reader's score, and gaps."""
    table = pd.read_csv(path, dtype=str)
    rng = np.random.default_rng(1)
    large = (table["label"] == "large").to_numpy()
    table["age"] = np.round(rng.normal(60 + 5 * large, 8)).astype(int).astype(str)
    table["smoking"] = np.array(["never", "former", "current"])[rng.integers(0, 3, len(table))]
    table["reader 1"] = np.round(rng.normal(large * 1.0, 0.6), 2).astype(str)
    table.loc[2, ["age", "smoking"]] = ""
    table.loc[3, "reader 1"] = ""
    table["nothing"], table["endless"] = "", "1"
    table.loc[4, "endless"] = "inf"
    table.to_csv(path, index=False)
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tabular")
    write_blobs(folder, patients=8, first=100)
    with_columns(folder / "cohort.csv")
    (folder / "cohort.csv").rename(folder / "new.csv")
    write_blobs(folder)
    with_columns(folder / "cohort.csv")
    train(tiny("cohort.csv", **ASKED), base=folder, out=folder / "run")
    return folder


def metrics(path):
    return json.loads((path / "metrics.json").read_text(encoding="utf-8"))


def test_each_is_measured_beside_the_network_in_the_order_of_telling(folder):
    found = metrics(folder / "run")["baselines"]
    assert list(found) == ["size_only", "clinical", "combined", "radiomics", "score_reader 1"]
    assert found["clinical"]["n_cases"] == 23  # one has neither column
    assert found["score_reader 1"]["n_cases"] == 23


def test_columns_of_patients_stay_private_and_features_do_not_tell_them(folder):
    assert "age" in (folder / "run" / "private" / "columns.csv").read_text()
    shared = [p for p in (folder / "run").rglob("*.csv") if "private" not in p.parts]
    assert not any("former" in path.read_text() for path in shared)


def test_the_lesions_features_are_kept_by_case(folder):
    features = pd.read_csv(folder / "run" / "features.csv").merge(
        pd.read_csv(folder / "cohort.csv"), on="case_id"
    )
    assert len(features) == 24
    assert np.corrcoef(features["log_size"], np.log(features["diameter_mm"]))[0, 1] > 0.8


def test_the_page_names_them_in_words(folder):
    from capsmed.report import write_report

    page = write_report(folder / "run").read_text(encoding="utf-8")
    assert "The clinical model reaches AUC" in page
    assert "The score &#39;reader 1&#39; reaches AUC" in page
    assert "Clinical: logistic regression on age, smoking" in page


def test_groups_of_a_column_and_sizes_are_measured_apart(folder):
    found = metrics(folder / "run")["model"]["subgroups"]
    assert list(found) == ["diameter in mm", "smoking"]
    assert [e["group"] for e in found["smoking"]] == ["current", "former", "never", "unknown"]
    assert sum(e["n_cases"] for e in found["diameter in mm"]) == 24


def test_what_is_chosen_inside_the_folds_is_kept(folder):
    inner = pd.read_csv(folder / "run" / "repeat-0" / "seed-0" / "fold-0" / "inner.csv")
    splits = pd.read_csv(folder / "run" / "splits.csv").query("fold == 0 and part == 'inner'")
    assert set(inner["case_id"]) == set(splits["case_id"])
    model = metrics(folder / "run")["model"]
    assert [p["wanted"] for p in model["operating_points"]] == [0.8, 0.9, 0.95]
    assert set(model["recalibrated"]) == {"temperature", "platt"}


def test_another_cohort_is_predicted_by_them_too(folder):
    found = evaluate(folder / "run", cohort=str(folder / "new.csv"), device="cpu")
    assert list(metrics(found)["baselines"]) == list(metrics(folder / "run")["baselines"])
    rows = pd.read_csv(found / "predictions.csv").query("model == 'clinical'")
    assert len(rows) == 7 and rows["prob_large"].between(0, 1).all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"clinical": ["agee"]}, r"baselines.clinical: .* got 'agee'; did you mean 'age'\?"),
        ({"scores": ["smoking"]}, "baselines.scores: expected numbers .* 'smoking', got '"),
        ({"clinical": ["image"]}, "at most 10 different words in the column 'image', got 24"),
        ({"clinical": ["label"]}, "a column that neither is the answer nor names .* got 'label'"),
        ({"scores": ["patient_id"]}, "nor names somebody, got 'patient_id'; leave it out"),
        ({"subgroups": ["patient_id"]}, "nor names somebody, got 'patient_id'; leave it out"),
        ({"clinical": ["nothing"]}, "expected values in the column 'nothing', got none"),
        ({"scores": ["endless"]}, "expected numbers in the column 'endless', got 'inf' for case"),
    ],
)
def test_columns_that_cannot_be_used_are_refused_before_an_image_is_read(
    folder, tmp_path, asked, message
):
    with pytest.raises(DataError, match=message):
        section = "evaluation" if "subgroups" in asked else "baselines"
        train(tiny("cohort.csv", **{section: asked}), base=folder, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_damaged_features_are_told_with_the_way_on(folder, tmp_path):
    run = shutil.copytree(folder / "run", tmp_path / "run")
    (run / "features.csv").write_text("x")
    with pytest.raises(CheckpointError, match="features.csv: expected case_id .* delete the file"):
        evaluate(run)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["61"] * 23 + ["NA"], "clinical: expected numbers or words in .* got both, 'NA' for case"),
        (
            ["61"] * 24,
            "clinical: expected values that differ in the column 'odd', got '61' in every",
        ),
        ([f"{n}e301" for n in range(1, 25)], "clinical: expected numbers or at most 10 .* 'odd'"),
    ],
)
def test_a_column_that_would_mislead_a_regression_is_refused(tmp_path, cells, message):
    write_blobs(tmp_path)
    table = pd.read_csv(tmp_path / "cohort.csv", dtype=str).assign(odd=cells)
    table.to_csv(tmp_path / "cohort.csv", index=False)
    with pytest.raises(DataError, match=message):
        train(
            tiny("cohort.csv", baselines={"clinical": ["odd"]}), base=tmp_path, out=tmp_path / "r"
        )


def test_a_column_of_names_is_no_column_of_groups(tmp_path):
    write_blobs(tmp_path)
    table = pd.read_csv(tmp_path / "cohort.csv", dtype=str)
    table.assign(record="MRN-" + table["patient_id"]).to_csv(tmp_path / "cohort.csv", index=False)
    asked = tiny("cohort.csv", evaluation={"subgroups": ["record"]})
    with pytest.raises(
        DataError, match="at most 20 different words in the column 'record', got 24"
    ):
        train(asked, base=tmp_path, out=tmp_path / "run")


def test_another_cohort_without_a_column_is_predicted_without_that_baseline(folder, capsys):
    table = pd.read_csv(folder / "new.csv", dtype=str).drop(columns=["age", "reader 1"])
    table.assign(case_id="w" + table["case_id"]).to_csv(folder / "without.csv", index=False)
    found = evaluate(folder / "run", cohort=str(folder / "without.csv"), device="cpu")
    assert list(metrics(found)["baselines"]) == ["size_only", "radiomics"]
    assert "clinical: not made, the cohort has no column 'age'" in capsys.readouterr().err


def test_cells_of_another_cohort_that_say_nothing_are_counted(folder, capsys):
    table = pd.read_csv(folder / "new.csv", dtype=str).assign(age="old", smoking="sometimes")
    table.assign(case_id="v" + table["case_id"]).to_csv(folder / "words.csv", index=False)
    evaluate(folder / "run", cohort=str(folder / "words.csv"), device="cpu")
    said = capsys.readouterr().err
    assert (
        "clinical: 8 of 8 cells of 'age' are taken as missing, the first is 'old', no num" in said
    )
    assert "cells of 'smoking' are taken as missing, the first is 'sometimes', a word that" in said
