import json
import re
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from capsmed.cli import main
from capsmed.errors import CheckpointError, DataError
from capsmed.metrics.tables import read_table
from capsmed.report import write_comparison


def change(run, table, edit):
    path = run / f"{table}.csv"
    edit(read_table(path)).to_csv(path, index=False)


@pytest.fixture(scope="module")
def originals(build_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rivals")
    sharp = build_run(folder / "sharp", sharpness=3.0, head=True, note="made up")
    dull = build_run(folder / "dull", sharpness=0.1, seeds=(0, 1))
    return sharp, dull


@pytest.fixture
def runs(originals, tmp_path):
    """Copies that a test may change."""
    return [shutil.copytree(run, tmp_path / run.name) for run in originals]


def compared(runs, tmp_path, **options):
    folder = write_comparison(runs, tmp_path / "out", bootstrap=150, **options)
    return json.loads((folder / "comparison.json").read_text(encoding="utf-8")), folder


def test_two_runs_are_told_by_their_folders_where_their_names_are_alike(runs, tmp_path):
    found, folder = compared(runs, tmp_path)
    assert list(found["models"]) == ["sharp", "dull"]
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert "sharp ranks better than dull: AUC difference" in page
    assert "Made up." in page and "Research use only" in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)


def test_of_one_run_the_network_is_compared_with_its_baselines(runs, tmp_path):
    found, _ = compared(runs[:1], tmp_path)
    assert list(found["models"]) == ["capsnet", "size only", "ordinary head"]


def test_a_baseline_that_two_runs_have_alike_enters_once(runs, tmp_path):
    found, _ = compared(runs, tmp_path, baselines=True)
    assert list(found["models"]) == ["sharp", "size only", "ordinary head", "dull"]


def test_a_report_of_several_runs_is_their_comparison(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["report", *map(str, runs)])
    assert done.output.strip().endswith("comparison.html") and done.exit_code == 0
    assert (tmp_path / "runs" / "compare-sharp-dull" / "comparison.json").exists()


def test_the_command_prints_both_tables_the_answer_and_the_page(runs, tmp_path):
    arguments = ["compare", *map(str, runs), "--out", str(tmp_path / "out"), "--bootstrap", "150"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    assert "sharp ranks better than dull" in words and "only one right" in words
    assert "P values: of the AUC by DeLong; of the decisions by sign-flip test" in words
    assert f"page: {tmp_path / 'out' / 'comparison.html'}" in words


def test_cases_that_differ_are_named_and_may_be_left_out(runs, tmp_path):
    for table in ("predictions", "cohort"):
        change(runs[1], table, lambda t: t[t["case_id"] != "case-003"])
    message = r"only 'sharp' has 1 case \('case-003'\); compare on the 53 cases .* --shared"
    with pytest.raises(DataError, match=message):
        compared(runs, tmp_path)
    found, _ = compared(runs, tmp_path, shared=True)
    assert found["n_cases"] == 53
    assert "1 case that not all have predicted is left out" in found["remarks"]


def first_row(column, value):
    def edit(table):
        table.loc[0, column] = value
        return table

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (first_row("prob_benign", float("nan")), "expected finite probabilities"),
        (first_row("prob_benign", 1.7), r"expected probabilities from 0 to 1 that sum to 1"),
        (first_row("label", "malignant?"), "expected the labels of cohort.csv, got others for 1"),
        (lambda t: pd.concat([t, t.head(1)]), "expected each case once in each run"),
        (lambda t: t.iloc[1:], "expected each case once in each run"),
        (lambda t: t.iloc[:0], "expected predictions of capsnet, got none"),
        (lambda t: t.drop(columns="prob_benign"), "expected columns .* got no"),
    ],
)
def test_predictions_that_were_changed_are_refused_where_they_are(runs, tmp_path, edit, message):
    change(runs[1], "predictions", edit)
    with pytest.raises(CheckpointError, match=f"dull/predictions.csv: .*{message}"):
        compared(runs, tmp_path)
    assert not (tmp_path / "out").exists()


def test_other_labels_are_refused(runs, tmp_path):
    flip = {"benign": "malignant", "malignant": "benign"}

    def relabel(table):
        other = table["label"].map(flip)
        return table.assign(label=table["label"].where(table["case_id"] != "case-007", other))

    for table in ("cohort", "predictions"):
        change(runs[1], table, relabel)
    with pytest.raises(DataError, match=r"expected the labels of .*sharp, got others for 1 case"):
        compared(runs, tmp_path)


def test_pseudonyms_may_differ_but_not_who_belongs_together(runs, tmp_path):
    change(runs[1], "cohort", lambda t: t.assign(patient="other-" + t["patient"]))
    compared(runs, tmp_path)
    change(runs[1], "cohort", lambda t: t.assign(patient=t["patient"].str[:-1]))
    with pytest.raises(DataError, match="expected cases grouped into patients as in .*sharp"):
        compared(runs, tmp_path)


def test_other_classes_are_refused(runs, build_run, tmp_path):
    other = build_run(tmp_path / "other", classes=("cat", "dog"))
    with pytest.raises(DataError, match=r"expected the classes of .*got \['cat', 'dog'\]"):
        compared([runs[0], other], tmp_path)


def test_a_run_given_twice_and_a_network_alone_are_refused(runs, build_run, tmp_path):
    with pytest.raises(DataError, match="expected different runs, got one of them twice"):
        compared([runs[0], runs[0]], tmp_path)
    alone = build_run(tmp_path / "alone", diameters=False)
    with pytest.raises(DataError, match="got the network alone; give a second run"):
        compared([alone], tmp_path)


def test_a_folder_of_something_else_is_not_written_into(runs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="expected a new folder or that of a comparison"):
        compared(runs, tmp_path)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_different_folds_are_told(runs, tmp_path):
    change(runs[1], "splits", lambda t: t.assign(fold=4 - t["fold"]))
    found, _ = compared(runs, tmp_path)
    assert "the runs were trained on different folds" in found["remarks"]


def test_repeating_a_comparison_replaces_it(runs, tmp_path):
    compared(runs, tmp_path)
    found, _ = compared(runs[::-1], tmp_path)
    assert list(found["models"]) == ["dull", "sharp"]
