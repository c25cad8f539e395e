import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pandas as pd
import pytest

from capsmed.errors import CheckpointError
from capsmed.report import write_report
from capsmed.report.plots import training_plot
from capsmed.report.run import read_run
from capsmed.report.style import INK, QUIET, ink_on

NOTE = "Synthetic pixels, not clinical performance"
OF_PROBABILITIES = {"precision_recall", "calibration", "decision"}
PLOTS = {"roc", "confusion", "forest", "scores", "training", "examples", *OF_PROBABILITIES}
DIGITS = tuple("0123456789")


class Text(HTMLParser):
    """The page's readable words, and every tag that opens or closes."""

    def __init__(self, page):
        super().__init__()
        self.words, self.open, self.links = [], [], []
        self.feed(page)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.open += [tag] if tag not in ("meta", "br", "input", "img") else []
        names = ("src", "href", "xlink:href")
        self.links += [value for name, value in attrs if name in names]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag("br", attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)


def read(run):
    return Text(write_report(run).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lung(build_run, tmp_path_factory):
    """One reported run that tests only look at."""
    run = build_run(tmp_path_factory.mktemp("report") / "run", head=True, note=NOTE)
    write_report(run)
    return run


@pytest.fixture(scope="module")
def page(lung):
    return Text((lung / "report.html").read_text(encoding="utf-8"))


def test_a_cross_validated_run_gets_every_figure_and_a_well_formed_page(lung, page):
    assert page.open == []
    assert {p.stem for p in (lung / "plots").glob("*.svg")} == PLOTS
    for path in (lung / "plots").glob("*.svg"):
        ElementTree.parse(path)


def test_the_page_is_self_contained(page):
    assert page.links
    assert all(re.match(r"#|data:image/png;base64,", link) for link in page.links)


def test_the_answer_comes_first_and_names_the_positive_class_and_the_rival(lung, page):
    text = page.text
    auc = json.loads((lung / "metrics.json").read_text())["model"]["auc"]
    answer = f"AUC {auc['value']:.3f} (95% interval {auc['low']:.3f}–{auc['high']:.3f})"
    assert answer in text and text.index(answer) < text.index("Results")
    assert "for positive class 'malignant', on 54 patients, each scored by a model" in text
    assert "Size alone reaches AUC" in text and "the intervals overlap" in text


def test_the_note_stands_on_the_page_and_on_every_figure(lung, page):
    assert page.text.count(NOTE) >= 3
    for path in (lung / "plots").glob("*.svg"):
        said = " ".join(t.text for t in ElementTree.parse(path).iter() if t.tag.endswith("text"))
        assert "Research use only" in said and NOTE in said


def test_left_out_cases_are_counted_with_their_reason(page):
    assert "label 'indeterminate' is not listed 2" in page.text
    assert "the image cannot be read 1" in page.text


def test_the_methods_come_from_the_config(page):
    text = page.text
    assert "Cross-validation in 5 folds by patient, split seed 0." in text
    assert "Inputs of 12 × 12 × 12 voxels at 1.5 mm, intensities -1000 to 400" in text
    assert "Network capsnet, loss capsule, optimiser adamw, at most 30 epochs" in text
    assert "Augmentation: shift 2.0, flip." in text and "458,000 parameters." in text


def test_a_whole_set_without_patients_reports_error_for_every_seed(make_run):
    options = dict(classes=DIGITS, cases=400, folds=1, seeds=(0, 1), patients=False)
    text = read(make_run(**options, diameters=False, size=(8, 8), sharpness=3)).text
    assert re.search(r"Error \d+\.\d\d% \(95% interval .*\) over 10 classes, mean of 2 runs", text)
    assert "patients unknown" in text and "in the test part" in text and "Each run" in text
    assert "No size-only model" in text and "malignant" not in text


def test_a_single_split_without_reconstructions_has_no_empty_panels(make_run):
    run = make_run(folds=1, reconstructions=False, size=(8, 8))
    assert "in the test part" in read(run).text
    assert "reconstruction" not in (run / "plots" / "examples.svg").read_text(encoding="utf-8")


def test_a_run_without_histories_and_examples_leaves_those_figures_out(make_run):
    run = make_run(size=(8, 8))
    for path in [*run.rglob("history.csv"), *run.rglob("examples.npz")]:
        path.unlink()
    write_report(run)
    assert {p.stem for p in (run / "plots").glob("*.svg")} == PLOTS - {"training", "examples"}


def test_names_in_any_script_are_kept_as_text_and_escaped(make_run):
    run = make_run(classes=("良性", "悪性 <b>$x_1$"), size=(8, 8))
    text = read(run).text
    assert "for positive class '悪性 <b>$x_1$'" in text
    assert "悪性 &lt;b&gt;$x_1$" in (run / "plots" / "scores.svg").read_text(encoding="utf-8")


def test_writing_again_gives_the_same_bytes(make_run):
    run = make_run(size=(8, 8))
    write_report(run)
    first = {p: p.read_bytes() for p in [run / "report.html", *(run / "plots").iterdir()]}
    write_report(run)
    assert all(path.read_bytes() == content for path, content in first.items())


def test_original_patient_ids_are_never_read(make_run):
    run = make_run(size=(8, 8))
    (run / "private").mkdir()
    (run / "private" / "ids.csv").write_text("case_id,patient_id\ncase-000,DOE^JANE\n")
    write_report(run)
    shared = [run / "report.html", *(run / "plots").iterdir()]
    assert not any("DOE^JANE" in path.read_text(encoding="utf-8") for path in shared)


@pytest.mark.parametrize("alone", [True, False])
def test_an_evaluation_on_another_cohort_is_reported_in_its_own_folder(make_run, alone):
    run = make_run(size=(8, 8))
    other = run / "evaluations" / "hospital_b"
    other.mkdir(parents=True)
    for name in ("cohort.csv", "predictions.csv", "metrics.json"):
        (run / name).rename(other / name)
    page = write_report(other) if alone else write_report(run, other)
    assert page == other / "report.html"
    assert "of the cohort 'hospital_b'" in Text(page.read_text(encoding="utf-8")).text
    assert {p.stem for p in (other / "plots").iterdir()} == PLOTS - {"training", "examples"}


def test_an_unfinished_run_is_refused_with_the_way_on(make_run):
    run = make_run(size=(8, 8))
    (run / "metrics.json").unlink()
    with pytest.raises(CheckpointError, match=r"metrics.json: expected .* `capsmed train --resume"):
        write_report(run)


def test_an_undefined_auc_is_a_dash(make_run):
    run = make_run(size=(8, 8))
    content = json.loads((run / "metrics.json").read_text())
    undefined = {"value": None, "low": None, "high": None, "method": "undefined"}
    content["model"]["auc"] = content["baselines"]["size_only"]["auc_difference"] = undefined
    (run / "metrics.json").write_text(json.dumps(content))
    assert "AUC – for positive class" in read(run).text


def test_cases_without_a_diameter_are_said(make_run):
    run = make_run(size=(8, 8))
    cohort = pd.read_csv(run / "cohort.csv", keep_default_na=False)
    cohort["diameter_mm"] = cohort["diameter_mm"].astype(object)
    cohort.loc[:3, "diameter_mm"] = ""
    cohort.to_csv(run / "cohort.csv", index=False)
    assert "4 included cases have no diameter" in read(run).text


def test_a_training_of_one_epoch_is_a_mark_and_a_long_one_a_line(lung):
    folds = read_run(lung).folds
    once = [replace(fold, history=fold.history[:1]) for fold in folds]
    assert training_plot(once).count("<use ") > training_plot(folds).count("<use ")


@pytest.mark.parametrize(
    ("ground", "strong", "ink"),
    [
        ((0.03, 0.19, 0.42), False, "white"),
        ((0.42, 0.68, 0.84), False, INK),
        ((0.97, 0.98, 1.0), False, QUIET),
        ((0.97, 0.98, 1.0), True, INK),
    ],
)
def test_numbers_stand_out_from_the_colour_below_them(ground, strong, ink):
    assert ink_on(ground, strong) == ink
