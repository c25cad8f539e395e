import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from capsmed.cli import main
from capsmed.errors import DataError
from capsmed.report import write_paper
from capsmed.report.checklists import checklists
from capsmed.report.run import read_run


@pytest.fixture(scope="module")
def run(build_run, tmp_path_factory):
    folder = build_run(tmp_path_factory.mktemp("paper") / "run", head=True, note="made up")
    write_paper(folder)
    return folder


def test_every_figure_is_there_for_print_in_300_dots_an_inch(run):
    figures = run / "paper" / "figures"
    names = {path.stem for path in figures.iterdir()}
    assert {"roc", "confusion", "forest", "calibration", "decision"} <= names
    assert {path.suffix for path in figures.glob("roc.*")} == {".png", ".pdf", ".tiff"}
    for kind in ("png", "tiff"):
        with Image.open(figures / f"roc.{kind}") as image:
            assert [round(float(n)) for n in image.info["dpi"]] == [300, 300]
            assert image.width == pytest.approx(4.2 * 300, abs=2)
    assert (figures / "roc.pdf").read_bytes().startswith(b"%PDF")


def test_the_results_sheet_has_the_runs_own_numbers_and_methods(run):
    sheet = pd.read_excel(run / "paper" / "tables.xlsx", sheet_name="Results")
    metrics = read_run(run).metrics
    area = sheet[(sheet["model"] == "capsnet") & (sheet["metric"] == "AUC")].iloc[0]
    assert [area[k] for k in ("value", "low", "high")] == [
        pytest.approx(metrics["model"]["auc"][k]) for k in ("value", "low", "high")
    ]
    assert area["interval"] == metrics["model"]["auc"]["method"]
    assert set(sheet["model"]) == {"capsnet", "size only", "ordinary head"}


def test_table_1_counts_the_cohort_and_who_was_left_out(run):
    table = pd.read_excel(run / "paper" / "tables.xlsx", sheet_name="Table 1").set_index("class")
    assert int(table.loc["all", "cases"]) == 54
    assert int(table.loc["left out: the image cannot be read", "cases"]) == 1


def test_comparisons_have_a_p_value(run):
    table = pd.read_excel(run / "paper" / "tables.xlsx", sheet_name="Comparisons")
    assert table["network minus"].tolist() == ["size only", "ordinary head"]
    assert table["DeLong's p"].between(0, 1).all()


def test_the_checklists_are_sheets_and_text(run):
    text = (run / "paper" / "checklists.md").read_text(encoding="utf-8")
    for one in checklists(read_run(run)):
        sheet = pd.read_excel(run / "paper" / "tables.xlsx", sheet_name=one.name, dtype=str)
        assert sheet["item"].tolist() == [row.number for row in one.rows]
        assert sheet["the run"].fillna("").tolist() == [row.answer for row in one.rows]
        assert f"## {one.name}" in text


def test_methods_say_what_the_run_did_and_what_must_be_said(run):
    text = (run / "paper" / "methods.md").read_text(encoding="utf-8")
    assert "Cross-validation in 5 folds by patient" in text
    assert "Made up." in text and text.rstrip().endswith("Research use only. Not for diagnosis.")


def test_a_class_that_looks_like_a_formula_stays_text(build_run, tmp_path):
    run = build_run(tmp_path / "run", classes=("benign", "=1+1"))
    sheet = pd.read_excel(write_paper(run) / "tables.xlsx", sheet_name="Table 1")
    assert "'=1+1" in sheet["class"].tolist()


def test_the_command_names_page_and_folder(run):
    done = CliRunner().invoke(main, ["report", str(run), "--paper"])
    assert done.output.split() == [str(run / "report.html"), str(run / "paper")]
    several = CliRunner().invoke(main, ["report", str(run), str(run), "--paper"])
    assert several.exit_code == 2 and "--paper is of one run" in several.output


def test_a_file_in_the_way_is_told(build_run, tmp_path):
    run = build_run(tmp_path / "run")
    (run / "paper").write_text("mine")
    with pytest.raises(DataError, match="paper: expected a folder, got a file"):
        write_paper(run)
