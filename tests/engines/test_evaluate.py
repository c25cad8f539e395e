"""A finished run measured again, and on other patients."""

import json
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from capsmed.cli import main
from capsmed.engines.evaluate import evaluate
from capsmed.engines.train import train
from capsmed.errors import CheckpointError, ConfigError, DataError
from tests.engines.blobs import tiny, write_blobs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cohort of 24 patients, a run on it, and 8 new patients (one table also has old ones)."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_blobs(folder)
    train(tiny("cohort.csv"), base=folder, out=folder / "run")
    old = pd.read_csv(folder / "cohort.csv", dtype=str)
    write_blobs(folder, patients=8, first=100)
    new = pd.read_csv(folder / "cohort.csv", dtype=str)
    new.to_csv(folder / "new.csv", index=False)
    pd.concat([new, old.head(6)]).to_csv(folder / "mixed.csv", index=False)
    old.to_csv(folder / "cohort.csv", index=False)
    return folder


def metrics(path):
    return json.loads((path / "metrics.json").read_text())


def test_a_run_measured_again_gives_the_same_metrics_without_images(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    before = metrics(tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    assert metrics(evaluate(tmp_path / "run")) == before


def test_new_patients_are_predicted_by_all_folds_together(folder):
    found = evaluate(folder / "run", cohort=str(folder / "new.csv"), device="cpu")
    assert found == folder / "run" / "evaluations" / "new"
    assert metrics(found)["n_patients"] == 8 and "size_only" in metrics(found)["baselines"]


def test_patients_the_run_has_trained_on_are_an_error_that_counts_them(folder):
    with pytest.raises(DataError, match="got 6 of 14 that it has; add --overlap drop"):
        evaluate(folder / "run", cohort=str(folder / "mixed.csv"), device="cpu")
    assert not (folder / "run" / "evaluations" / "mixed").exists()


def test_the_cohort_of_a_run_says_where_points_and_diameters_came_from(folder):
    cases = pd.read_csv(folder / "run" / "cohort.csv")
    assert set(cases["point_from"]) == {"image centre"}
    assert set(cases["diameter_from"]) == {"column"}


def test_overlap_drop_leaves_them_out_and_says_so(folder):
    found = evaluate(
        folder / "run", cohort=str(folder / "mixed.csv"), overlap="drop", name="d", device="cpu"
    )
    cases = pd.read_csv(found / "cohort.csv")
    assert (cases["status"] == "excluded").sum() == 6 and metrics(found)["n_cases"] == 8
    assert "6 cases of patients the run has trained on" in metrics(found)["note"]


def test_overlap_out_of_fold_gives_old_patients_the_runs_own_predictions(folder):
    mixed = str(folder / "mixed.csv")
    found = evaluate(folder / "run", cohort=mixed, overlap="out-of-fold", name="o", device="cpu")
    mine = pd.read_csv(found / "predictions.csv").set_index("case_id")
    run = pd.read_csv(folder / "run" / "predictions.csv").query("model == 'capsnet'")
    run = run.set_index("case_id")
    old = [f"case{number}" for number in range(6)]
    assert mine.loc[old, "prob_large"].to_numpy() == pytest.approx(run.loc[old, "prob_large"])


def test_an_unfinished_run_says_how_to_finish_it(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    (tmp_path / "run/repeat-0/seed-0/fold-1/fold.json").unlink()
    with pytest.raises(CheckpointError, match="got 1 of 2 trainings unfinished"):
        evaluate(tmp_path / "run")


def test_a_checkpoint_of_another_architecture_is_refused(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    path = tmp_path / "run" / "config.yaml"
    path.write_text(path.read_text().replace("class_dim: 4", "class_dim: 6"))
    with pytest.raises(CheckpointError, match="expected weights of the configured network"):
        evaluate(tmp_path / "run", cohort=str(folder / "new.csv"), name="other", device="cpu")


def test_a_cohort_of_which_nobody_is_new_has_nothing_left(folder):
    with pytest.raises(DataError, match="nothing is left to evaluate"):
        evaluate(folder / "run", cohort=str(folder / "cohort.csv"), overlap="drop", device="cpu")


def test_an_evaluation_is_not_overwritten(folder):
    evaluate(folder / "run", cohort=str(folder / "new.csv"), name="once", device="cpu")
    with pytest.raises(DataError, match="give this one another name with --name"):
        evaluate(folder / "run", cohort=str(folder / "new.csv"), name="once", device="cpu")


def test_a_whole_set_without_patients_knows_its_own_cases(tmp_path):
    patch = {"size": [8, 8], "window": None}
    experiment = tiny(
        "digits",
        data={"limit": 60, "classes": None},
        patch=patch,
        split={"by": "case"},
        training={"epochs": 1},
    )
    run = train(experiment, base=tmp_path, out=tmp_path / "run")
    with pytest.raises(DataError, match="got 60 of 1797 that it has"):
        evaluate(run, cohort="digits", device="cpu")


def test_a_fold_whose_predictions_are_cut_is_not_taken_for_whole(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    path = tmp_path / "run" / "repeat-0" / "seed-0" / "fold-0" / "predictions.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:3]) + "\n")
    with pytest.raises(CheckpointError, match="expected 24 predictions .* got 14"):
        evaluate(tmp_path / "run")


@pytest.mark.parametrize("value", [1.7, -0.2])
def test_probabilities_that_do_not_sum_to_one_are_told_with_their_case(folder, tmp_path, value):
    shutil.copytree(folder / "run", tmp_path / "run")
    path = tmp_path / "run" / "repeat-0" / "seed-0" / "fold-1" / "predictions.csv"
    table = pd.read_csv(path, dtype={"case_id": str})
    table.loc[2, "prob_large"] = value
    table.to_csv(path, index=False)
    case = table["case_id"][2]
    with pytest.raises(CheckpointError, match=f"that sum to 1, got .* for case '{case}' of fold 1"):
        evaluate(tmp_path / "run")


@pytest.mark.parametrize("name", ["..", "a/b"])
def test_an_evaluation_has_a_plain_name(folder, name):
    with pytest.raises(DataError, match="expected a plain name"):
        evaluate(folder / "run", cohort=str(folder / "new.csv"), name=name, device="cpu")


def test_int8_is_close_to_float32_and_shown_with_the_result(folder):
    options = ["--cohort", str(folder / "new.csv"), "--precision", "int8", "--name", "int8"]
    done = CliRunner().invoke(main, ["evaluate", str(folder / "run"), *options])
    exact = evaluate(folder / "run", cohort=str(folder / "new.csv"), name="exact", device="cpu")
    rounded = folder / "run" / "evaluations" / "int8"
    first, second = (pd.read_csv(f / "predictions.csv")["prob_large"] for f in (rounded, exact))
    assert (
        first.to_numpy() == pytest.approx(second.to_numpy(), abs=0.02) and (first != second).any()
    )
    assert done.exit_code == 0 and "predicted in int8" in done.output
    assert "trained in float32" in metrics(rounded)["note"]
    assert "predicted in" not in metrics(exact)["note"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--precision: expected another cohort to predict, got int8 .* add --cohort"),
        (
            {"cohort": "new.csv", "name": "elsewhere", "device": "meta"},
            "expected the CPU for int8, got device 'meta'",
        ),
    ],
)
def test_int8_without_another_cohort_or_elsewhere_is_refused(folder, options, message):
    with pytest.raises(ConfigError, match=message):
        evaluate(folder / "run", precision="int8", **options)
