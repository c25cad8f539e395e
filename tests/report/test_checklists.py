"""Reporting checklists: the right items, and answers that are the run's own."""

import json
import re

import pandas as pd
import pytest
import yaml

from capsmed.report.checklist_facts import facts
from capsmed.report.checklist_items import CLAIM, TRIPOD_AI
from capsmed.report.checklists import Checklist, Row, checklists, markdown
from capsmed.report.html import render
from capsmed.report.run import read_run
from tests.report.test_report import Text

TRIPOD_NUMBERS = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 "
    "16 17 18a 18b 18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)


@pytest.fixture(scope="module")
def run(build_run, tmp_path_factory):
    """A run that tests only look at."""
    return build_run(tmp_path_factory.mktemp("lists") / "run", size=(8, 8), head=True, note="fake")


def answers(run):
    """What the run answers, by list and item."""
    found = checklists(read_run(run))
    return [{row.number: row.answer for row in one.rows} for one in found]


def changed(run, **sections):
    """The run with other settings in its configuration; None takes a section away."""
    path = run / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, values in sections.items():
        if values is None:
            del config[name]
        else:
            config[name] = (config.get(name) or {}) | values
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return run


def test_the_items_are_those_of_the_papers():
    assert [item.number for item in CLAIM] == [str(n) for n in range(1, 45)]
    assert [item.number for item in TRIPOD_AI] == TRIPOD_NUMBERS.split()


def test_every_answer_that_an_item_names_is_known(run):
    known = facts(read_run(run))
    assert {name for item in (*CLAIM, *TRIPOD_AI) for name in item.facts} <= known.keys()


def test_what_no_run_can_know_is_left_to_the_authors(run):
    claim, tripod = checklists(read_run(run))
    rows = {row.number: row for row in claim.rows} | {row.number: row for row in tripod.rows}
    for number in ("44", "18a", "17", "3b", "27b"):
        assert rows[number].answer == "" and rows[number].authors
    assert all(row.answer or row.authors for one in (claim, tripod) for row in one.rows)


def test_numbers_are_those_of_metrics_json(run):
    claim, tripod = answers(run)
    model = json.loads((run / "metrics.json").read_text())["model"]
    for key, name, text in [
        ("auc", "AUC", claim["37"]),
        ("sensitivity", "Sensitivity", claim["38"]),
        ("calibration_slope", "calibration slope", tripod["23a"]),
    ]:
        low, high = model[key]["low"], model[key]["high"]
        assert f"{name} {model[key]['value']:.3f} ({low:.3f}–{high:.3f})" in text
    assert f"{100 * (1 - model['accuracy']['value']):.1f}% of cases" in claim["39"]
    assert "the same patients" in claim["37"] and claim["40"] == "Fake."


def test_the_cohort_is_counted(run):
    claim, tripod = answers(run)
    table = pd.read_csv(run / "cohort.csv")
    positive = int((table["target"] == 1).sum())
    assert "54 cases included. Left out: label 'indeterminate' is not listed (2)" in claim["8"]
    assert f"malignant: {positive} cases of {positive} patients" in claim["36"]
    splits = pd.read_csv(run / "splits.csv").merge(table[["case_id", "target"]], on="case_id")
    events = splits[splits["part"] == "test"].groupby("fold")["target"].agg(["size", "sum"])
    ends = [f"{events[k].min()} to {events[k].max()}" for k in ("size", "sum")]
    assert f"test {ends[0]} cases, of them {ends[1]} malignant" in tripod["21"]


def test_augmentation_is_told_as_it_was(make_run):
    run = make_run(size=(8, 8))
    assert "Augmentation: shift 2.0, flip." in answers(run)[0]["25"]
    off = changed(run, augmentation={"shift": 0, "flip": False})
    assert "No augmentation." in answers(off)[0]["25"]


def test_sampling_and_weights_are_told_as_they_were(make_run):
    run = make_run(size=(8, 8))
    assert answers(run)[1]["13"].startswith("Balanced sampling")
    changed(run, training={"sampling": "natural"}, loss={"class_weights": "balanced"})
    assert answers(run)[1]["13"].startswith(
        "Natural sampling: in training each case comes once an epoch. Class weights of the loss: "
        "balanced."
    )


def test_first_weights_are_told_only_where_recorded(make_run):
    run = make_run(size=(8, 8))
    assert answers(run)[0]["24"] == ""
    assert answers(changed(run, weights={"file": None}))[0]["24"] == (
        "Weights were drawn at random, seeds 0."
    )
    pretrained = changed(run, weights={"file": "med3d.pth", "into": "backbone"})
    assert "Weights of backbone started from 'med3d.pth'." in answers(pretrained)[0]["24"]


def test_several_runs_are_told_with_their_spread(run, make_run):
    assert answers(run)[0]["30"] == "" and "averaged" not in answers(run)[0]["27"]
    several = make_run(size=(8, 8), seeds=(0, 1))
    values = [e["auc"]["value"] for e in read_run(several).metrics["model"]["per_seed"]]
    claim = answers(several)[0]
    ends = f"{min(values):.3f} to {max(values):.3f}"
    assert claim["30"] == f"AUC of 2 runs (repeats and seeds): {ends}."
    assert "The metrics, not the predictions, are averaged over 2 runs." in claim["27"]


def test_the_level_of_the_parts_is_counted_not_believed(run, make_run):
    assert answers(run)[0]["20"] == "Patient level: no patient stands in two parts of a fold."
    assert "not known" in answers(make_run(size=(8, 8), patients=False))[0]["20"]


def test_a_patient_in_two_parts_is_told(make_run):
    run = make_run(size=(8, 8))
    table = pd.read_csv(run / "cohort.csv", keep_default_na=False)
    table.loc[:1, "patient"] = "P-shared"
    table.to_csv(run / "cohort.csv", index=False)
    assert answers(run)[0]["20"] == (
        "Case level: 1 patients stand in more than one part of a fold."
    )


def test_cases_that_cannot_be_used_are_told_as_configured(make_run):
    run = make_run(size=(8, 8))
    assert answers(run)[0]["12"] == ""
    assert "was left out and listed" in answers(changed(run, data={"on_bad_case": "skip"}))[0]["12"]
    assert "stops the run" in answers(changed(run, data={"on_bad_case": "error"}))[0]["12"]


def test_clusters_are_told_where_a_column_makes_the_folds(make_run):
    run = make_run(size=(8, 8))
    assert answers(run)[1]["12d"] == answers(run)[1]["23b"] == ""
    tripod = answers(changed(run, split={"leave_out": "hospital"}))[1]
    assert "One fold for each value of 'hospital'" in tripod["12d"]
    assert tripod["23b"].startswith("AUC of 5 folds, one for each 'hospital': 0.")


def test_pictures_and_networks_are_told_only_where_they_lie(make_run):
    run = make_run(size=(8, 8), couplings=True)
    claim, tripod = answers(run)
    assert claim["31"] == (
        "Shown in the report: reconstructions of test cases, coupling maps of test cases."
    )
    assert "checkpoints" not in tripod["22"]
    best = run / "repeat-0" / "seed-0" / "fold-1" / "checkpoints" / "best.pt"
    best.parent.mkdir()
    best.write_bytes(b"")
    for path in run.rglob("cuts.npz"):
        path.unlink()
    claim, tripod = answers(run)
    assert claim["31"] == "" and "1 trained networks lie" in tripod["22"]


def evaluated(run, name, before="x"):
    """An evaluation on as many other cases: the run's own under other names."""
    other = run / "evaluations" / name
    other.mkdir(parents=True)
    (other / "metrics.json").write_bytes((run / "metrics.json").read_bytes())
    for file in ("predictions.csv", "cohort.csv"):
        table = pd.read_csv(run / file, dtype=str, keep_default_na=False)
        names = [column for column in ("case_id", "patient") if column in table]
        table[names] = before + table[names]
        table.to_csv(other / file, index=False)
    return other


def test_patients_of_the_folds_are_no_external_test(make_run):
    run = make_run(size=(8, 8))
    evaluated(run, "again", before="")
    assert answers(run)[0]["33"] == ""


def test_another_cohort_is_the_external_test(make_run):
    run = make_run(size=(8, 8))
    assert answers(run)[0]["33"] == ""
    other = evaluated(run, "abroad")
    auc = read_run(run).metrics["model"]["auc"]["value"]
    assert answers(run)[0]["33"].startswith(f"Evaluated on cases in no fold: abroad: AUC {auc:.3f}")
    claim, tripod = answers(other)
    assert claim["33"].startswith(f"This page: the cohort 'abroad'. AUC {auc:.3f}")
    assert claim["32"] == claim["20"] == tripod["21"] == ""  # of its training, not of this cohort
    assert "Digest" not in claim["7"] and "mean probability" in claim["27"]


@pytest.mark.parametrize(("asked", "item"), [({"share": 0.2}, "32"), ({"column": "site"}, "33")])
def test_a_share_that_was_held_out_is_internal_and_a_marked_site_is_not(make_run, asked, item):
    run = make_run(size=(8, 8))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["split"] = {**(config.get("split") or {}), "held_out": asked}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    other = evaluated(run, "held_out")
    for claim in (answers(run)[0], answers(other)[0]):
        assert "AUC" in claim[item] and "AUC" not in claim[{"32": "33", "33": "32"}[item]]


def test_ten_classes_and_no_patients_have_answers_too(make_run):
    run = make_run(size=(8, 8), classes=tuple("0123456789"), cases=200, folds=1, patients=False)
    claim, tripod = answers(run)
    assert claim["37"].startswith("AUC 0.") and "error" in claim["37"]
    first = read_run(run).metrics["model"]["one_vs_rest"]["0"]["sensitivity"]["value"]
    assert claim["38"].startswith(f"Each class against the rest: 0: sensitivity {first:.3f} (")
    assert "Positive" not in claim["14"]
    assert "Case level: patients are not known." in tripod["12a"]


def test_no_case_and_no_patient_is_named(run):
    table = pd.read_csv(run / "cohort.csv", keep_default_na=False)
    text = markdown(checklists(read_run(run)))
    assert not any(name in text for name in [*table["case_id"], *table["patient"]])


def test_the_page_folds_both_lists_away_and_says_how_much_is_answered(run):
    page = Text(render(read_run(run), {}))
    claim = checklists(read_run(run))[0]
    assert page.open == []
    assert f"CLAIM 2024: {claim.answered} of 44 items" in page.text
    assert re.search(r"TRIPOD\+AI: \d+ of 52 items", page.text)
    assert "For the authors: which committee approved the study" in page.text


def test_names_cannot_break_the_text_or_its_table():
    text = markdown([Checklist("A", "b", [Row("1", "c", "class a|b <i>", "")])])
    assert "| 1 | c | class a\\|b &lt;i> |  |" in text
