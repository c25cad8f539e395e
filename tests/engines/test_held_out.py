"""Patients held out of all folds: they change nothing, and are predicted once."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from capsmed.cli import main
from capsmed.cli.result import is_finished, show
from capsmed.config import load_run
from capsmed.engines.evaluate import evaluate
from capsmed.engines.train import train
from capsmed.errors import DataError
from capsmed.report import write_report
from tests.engines.blobs import tiny, write_blobs

ASKED = {
    "split": {"folds": 2, "inner": 0.25, "held_out": {"column": "site", "value": "Busan"}},
    "baselines": {"models": ["size_only", "radiomics"], "clinical": ["age"]},
}
HELD = [f"case{number}" for number in range(24, 32)]
FOLDS = [f"repeat-0/seed-0/fold-{fold}" for fold in range(2)]


def write_sites(folder):
    """32 patients with ages, the last eight of another site."""
    write_blobs(folder, patients=32)
    table = pd.read_csv(folder / "cohort.csv", dtype=str)
    table["site"] = ["Ulm"] * 24 + ["Busan"] * 8
    table["age"] = [str(40 + 3 * (number % 9)) for number in range(32)]
    table.to_csv(folder / "cohort.csv", index=False)
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cohort of two sites and a run of which one is held out."""
    folder = tmp_path_factory.mktemp("held")
    write_sites(folder)
    train(tiny("cohort.csv", **ASKED), base=folder, out=folder / "run")
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The same, but one of those held out has absurd pixels, size, age and label."""
    folder = tmp_path_factory.mktemp("planted")
    table = write_sites(folder)
    np.save(folder / "blob25.npy", np.full((16, 16), 1e6, np.float32))
    table.loc[25, ["diameter_mm", "age", "label"]] = ["900", "-5000", "large"]
    table.to_csv(folder / "cohort.csv", index=False)
    train(tiny("cohort.csv", **ASKED), base=folder, out=folder / "run")
    return folder


@pytest.fixture
def run(folder, tmp_path):
    """A copy of the run, to be changed."""
    return shutil.copytree(folder / "run", tmp_path / "run")


def resume(run, folder):
    return train(tiny("cohort.csv", **ASKED), base=folder, out=run, resume=True)


def held(run):
    return run / "evaluations" / "held_out"


def metrics(path):
    return json.loads((path / "metrics.json").read_text(encoding="utf-8"))


def test_a_planted_patient_held_out_changes_no_file_of_the_folds(folder, planted):
    names = ["predictions.csv", "metrics.json", "splits.csv", "features.csv", "private/columns.csv"]
    names += [f"{fold}/{name}.csv" for fold in FOLDS for name in ("predictions", "inner")]
    one, other = folder / "run", planted / "run"
    assert [n for n in names if (one / n).read_bytes() != (other / n).read_bytes()] == []
    for fold in FOLDS:
        paths = (run / fold / "checkpoints" / "best.pt" for run in (one, other))
        first, second = (torch.load(path, weights_only=True)["network"] for path in paths)
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_planted_patient_moves_nobody_but_himself_in_the_held_out_part(folder, planted):
    first, second = (
        pd.read_csv(held(f / "run") / "predictions.csv", index_col=["model", "case_id"])
        for f in (folder, planted)
    )
    apart = (first["prob_large"] != second["prob_large"]).groupby("case_id").any()
    assert apart[apart].index.tolist() == ["case25"]


def test_all_models_predict_those_held_out_and_no_fold_knows_them(folder):
    found = held(folder / "run")
    rows = pd.read_csv(found / "predictions.csv")
    assert set(rows["model"]) == {"capsnet", "size_only", "radiomics", "clinical"}
    assert all(set(part["case_id"]) == set(HELD) for _, part in rows.groupby("model"))
    assert metrics(found)["n_patients"] == 8 and metrics(folder / "run")["n_patients"] == 24
    files = [*(folder / "run").glob("repeat-*/**/*.csv"), folder / "run" / "splits.csv"]
    assert not any(case in path.read_text() for path in files for case in HELD)


def test_they_are_told_as_held_out_in_the_runs_case_table(folder):
    cases = pd.read_csv(folder / "run" / "cohort.csv").set_index("case_id")
    own = pd.read_csv(held(folder / "run") / "cohort.csv").set_index("case_id")
    assert set(cases["reason"][HELD]) == {"held out: in no fold"} and len(own) == 8
    assert own["patient"].equals(cases["patient"][HELD])


def test_they_are_predicted_as_another_cohort_is(folder, run):
    table = pd.read_csv(folder / "cohort.csv", dtype=str)
    table[table["site"] == "Busan"].to_csv(folder / "busan.csv", index=False)
    other = evaluate(run, cohort=str(folder / "busan.csv"), device="cpu")
    mine = (held(run) / "predictions.csv").read_bytes()
    assert (other / "predictions.csv").read_bytes() == mine


def test_an_evaluation_of_the_whole_table_overlaps_with_the_folds_patients_alone(folder, run):
    with pytest.raises(DataError, match="got 24 of 32 that it has"):
        evaluate(run, cohort=str(folder / "cohort.csv"), device="cpu")


def test_a_finished_run_does_not_predict_them_again(folder, run):
    paths = [path for path in held(run).rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in paths}
    resume(run, folder)
    assert {path: path.stat().st_mtime_ns for path in paths} == before


@pytest.mark.parametrize("lost", ["networks.json", "predictions.csv"])
def test_an_interrupted_prediction_is_made_again_to_the_last_bit(folder, run, lost):
    before = (held(run) / "predictions.csv").read_bytes()
    (held(run) / lost).unlink()
    resume(run, folder)
    assert (held(run) / "predictions.csv").read_bytes() == before
    assert (held(run) / "networks.json").is_file() and metrics(held(run))


def test_a_run_that_lost_a_fold_resumes_to_the_same_prediction(folder, run):
    before = (held(run) / "predictions.csv").read_bytes()
    shutil.rmtree(run / FOLDS[1])
    shutil.rmtree(held(run))
    resume(run, folder)
    assert (held(run) / "predictions.csv").read_bytes() == before


def test_a_fold_with_other_weights_has_them_predicted_again(folder, run, capsys):
    before = pd.read_csv(held(run) / "predictions.csv").query("model == 'capsnet'")["prob_large"]
    path = run / FOLDS[0] / "checkpoints" / "best.pt"
    content = torch.load(path, weights_only=True)
    content["network"] = {n: value * 1.5 for n, value in content["network"].items()}
    torch.save(content, path)
    resume(run, folder)
    after = pd.read_csv(held(run) / "predictions.csv").query("model == 'capsnet'")["prob_large"]
    assert (before != after).any()
    assert "predicted again, because the folds' networks have changed" in capsys.readouterr().err


def test_a_changed_held_out_case_is_another_cohort(folder, planted, run):
    with pytest.raises(DataError, match="expected the labels and images this run was started with"):
        resume(run, planted)


def test_the_terminal_and_the_page_show_both_results(run, capsys):
    page = write_report(run).read_text(encoding="utf-8")
    assert "Held out: AUC " in page and "on 8 patients in no fold" in page
    assert 'href="evaluations/held_out/report.html"' in page
    assert "Held out of all folds: those with &#39;Busan&#39; in the column &#39;site&#39;" in page
    own = (held(run) / "report.html").read_text(encoding="utf-8")
    assert "evaluation on the held-out part" in own and "held out of all folds" in own
    show(run)
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("Held out: AUC ") == 1 and "on 8 patients in no fold" in shown


def test_the_held_out_part_is_compared_as_an_evaluation_is(run, tmp_path):
    done = CliRunner().invoke(main, ["compare", str(held(run)), "--out", str(tmp_path / "page")])
    assert done.exit_code == 0 and (tmp_path / "page" / "comparison.html").is_file()


@pytest.mark.parametrize("lost", ["networks.json", "metrics.json", "report.html"])
def test_a_run_is_finished_only_with_its_held_out_part(run, lost):
    experiment = load_run(run).experiment
    for page in (run, held(run)):
        (page / "report.html").touch()
    assert is_finished(run, experiment)
    (held(run) / lost).unlink()
    assert not is_finished(run, experiment)


def test_a_share_is_held_out_with_seeds_and_repeats(blobs, tmp_path):
    asked = {"split": {"repeats": 2, "held_out": 0.25}, "training": {"epochs": 1}, "seeds": [0, 1]}
    found = train(tiny(str(blobs), **asked), base=blobs.parent, out=tmp_path / "run")
    rows = pd.read_csv(held(found) / "predictions.csv").query("model == 'capsnet'")
    assert rows.groupby(["repeat", "seed"])["case_id"].nunique().tolist() == [6] * 4
    assert metrics(found)["n_patients"] == 18


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ({"column": "nowhere"}, "split.held_out.column: expected a column"),
        (0.95, "split.folds: expected at most 1, the patients of class 'small' that are not held"),
    ],
)
def test_what_cannot_be_held_out_is_told_before_an_image_is_read(
    folder, tmp_path, held_out, message
):
    table = pd.read_csv(folder / "cohort.csv", dtype=str).assign(image="blob0.npy")
    table.to_csv(tmp_path / "cohort.csv", index=False)
    (tmp_path / "blob0.npy").write_bytes(b"no image")
    with pytest.raises(DataError, match=message):
        asked = {"split": {"held_out": held_out}}
        train(tiny("cohort.csv", **asked), base=tmp_path, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_baseline_without_values_for_those_held_out_is_told_before_training(folder, tmp_path):
    table = pd.read_csv(folder / "cohort.csv", dtype=str)
    table.loc[table["site"] == "Busan", "age"] = ""
    table.to_csv(tmp_path / "cohort.csv", index=False)
    with pytest.raises(DataError, match="of the cases held out: baselines.clinical: .* got none"):
        experiment = tiny("cohort.csv", **ASKED)
        train(experiment, base=tmp_path, data_root=folder, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_name_of_the_held_out_part_is_kept_for_it(folder, run):
    with pytest.raises(DataError, match="--name: expected another name than 'held_out'"):
        evaluate(run, cohort=str(folder / "cohort.csv"), name="held_out", device="cpu")
