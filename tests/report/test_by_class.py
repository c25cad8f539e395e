import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from capsmed.report import console_table, write_report
from capsmed.report.by_class import absences, class_lines, class_plot
from capsmed.report.paper import sheets
from capsmed.report.run import read_run

CLASSES = ("a", "b", "c", "d", "e")


@pytest.fixture(scope="module")
def run(build_run, tmp_path_factory):
    """A run of five classes that tests only look at."""
    folder = tmp_path_factory.mktemp("classes") / "run"
    return build_run(folder, classes=CLASSES, cases=100, head=True, size=(8, 8))


def entry(value):
    return {"value": value, "low": value, "high": value, "method": "m"}


def of_classes(scores):
    classes = {n: {"n_cases": 0 if v is None else 9, "f1": entry(v)} for n, v in scores.items()}
    return {"classes": list(scores), "model": {"one_vs_rest": classes}}


def test_the_page_has_a_row_for_each_class_and_a_figure(run):
    page = write_report(run).read_text(encoding="utf-8")
    table = page.partition("By class</summary>")[2].partition("</table>")[0]
    shown = json.loads((run / "metrics.json").read_text())["model"]["one_vs_rest"]
    assert all(f"{shown[name]['f1']['value']:.3f}" in table for name in CLASSES)
    assert "macro mean" in table and "micro" in table
    assert (run / "plots" / "by_class.svg").exists()


def test_two_classes_have_neither_table_nor_figure(build_run, tmp_path):
    folder = build_run(tmp_path / "run", size=(8, 8))
    assert "By class" not in write_report(folder).read_text(encoding="utf-8")
    assert not (folder / "plots" / "by_class.svg").exists()


def test_a_run_of_an_earlier_version_has_none_either(run):
    found = read_run(run)
    del found.metrics["model"]["one_vs_rest"]
    assert class_plot(found.metrics) is None and class_lines(found.metrics) == []
    assert absences(found.metrics) == []


def test_the_console_names_the_lowest_and_the_best_in_one_line(run):
    metrics, out = json.loads((run / "metrics.json").read_text()), io.StringIO()
    Console(width=200, file=out).print(console_table(metrics))
    f1 = {n: e["f1"]["value"] for n, e in metrics["model"]["one_vs_rest"].items()}
    order = sorted(f1, key=lambda name: f1[name])
    (line,) = [line for line in out.getvalue().splitlines() if line.startswith("F1 by class")]
    assert line.startswith(f"F1 by class, lowest first: '{order[0]}' {f1[order[0]]:.3f} (")
    assert f"best '{order[-1]}'" in line and f"'{order[3]}'" not in line


def test_few_classes_are_all_named_and_one_without_cases_is_not_judged():
    lines = class_lines(of_classes({"x": 0.9, "y": 0.5, "z": None}))
    assert lines == [
        "F1 by class, lowest first: 'y' 0.500 (0.500–0.500), 'x' 0.900 (0.900–0.900).",
        "Not judged, as no case is of it: 'z'.",
    ]


def test_the_page_names_folds_without_a_class(run):
    found = read_run(run)
    folds = [{"repeat": 0, "seed": 0, "fold": 2, "absent": ["b", "c"]}, {"fold": 3}]
    model = found.metrics["model"] | {"per_fold": folds}
    changed = replace(found, metrics=found.metrics | {"model": model})
    assert absences(changed.metrics) == ["Fold 2: no case of 'b', 'c'"]


def test_the_sheet_has_every_class_of_every_model(run):
    sheet = sheets(read_run(run))["By class"]
    assert set(sheet["model"]) == {"capsnet", "size only", "ordinary head"}
    assert set(sheet["class"]) == {*CLASSES, "macro mean", "micro"}
    own = sheet[(sheet["model"] == "capsnet") & (sheet["class"] == "c")].set_index("metric")
    told = read_run(run).metrics["model"]["one_vs_rest"]["c"]
    assert own.loc["PPV", "low"] == pytest.approx(told["ppv"]["low"])
    assert own.loc["AUC", "interval"] == told["auc"]["method"]
