"""The page, the table beside it, and the command that writes them."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from capsmed import config
from capsmed.cli import main
from capsmed.data.survey import open_table, survey
from capsmed.data.survey.cuts import Cut, Cuts
from capsmed.report.contact_sheet import chosen, tags, write_contact_sheet
from capsmed.report.survey_pictures import Album, drawing
from capsmed.report.survey_plots import histograms
from capsmed.report.survey_tables import counted, sections
from capsmed.report.survey_words import conclusion, frame_sentence
from tests.data.survey_cohorts import PATCH, add, look, write_cohort


def check(*arguments):
    return CliRunner().invoke(main, ["cohort", "check", *map(str, arguments)])


@pytest.fixture
def sheet(tmp_path):
    """The page of a small cohort with one bad row, its points in LPS."""
    table = add(write_cohort(tmp_path, 3, masks=True), "lost,secret-9,lost.nii.gz,benign,0,0,0,5,")
    result = check(table, "--frame", "LPS", "--size", "16", "--spacing", 2, "--out", tmp_path / "o")
    assert result.exit_code == 1, result.output
    return (tmp_path / "o" / "check.html").read_text(encoding="utf-8"), tmp_path


def test_the_page_shows_every_case_the_bad_ones_first(sheet):
    page, _ = sheet
    assert re.findall(r"<h3>(\w+)", page) == ["lost", "c0", "c1", "c2"]
    assert page.count('<svg class="cuts"') == 3 and page.count('class="mask"') == 9
    assert page.count("crop box, 32 × 32 × 32 mm") == 1


def test_the_page_needs_nothing_else_and_can_be_shared(sheet):
    page, folder = sheet
    assert not re.search(r'(src|href)="(?!data:|#)', page) and "<script" not in page
    assert "secret-" not in page and str(folder) not in page and "nii.gz" not in page
    assert "Research use only" in page and "prefers-color-scheme: dark" in page


def test_patient_ids_are_shown_only_when_asked_for(tmp_path):
    table = write_cohort(tmp_path, 2)
    result = check(table, "--frame", "LPS", "--show-ids", "--out", tmp_path / "o")
    assert "secret-001" in (tmp_path / "o" / "check.html").read_text(encoding="utf-8")
    assert "patient_id" in (tmp_path / "o" / "check.csv").read_text(encoding="utf-8")
    assert result.exit_code == 0, result.output


def test_the_table_beside_it_has_a_row_a_case(sheet):
    _, folder = sheet
    with open(folder / "o" / "check.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["good", "good", "good", "to mend"]
    assert 20 < float(rows[0]["hu_at_point"]) < 40 and "patient_id" not in rows[0]


def test_the_last_line_names_the_frame_when_nobody_did(tmp_path):
    result = check(write_cohort(tmp_path, 8), "--out", tmp_path / "o")
    assert result.exit_code == 1
    assert "the frame of its points must be named (they fit LPS): --frame" in result.stderr
    assert "secret-" not in result.output


def test_a_wrong_frame_is_said_aloud(tmp_path):
    result = check(write_cohort(tmp_path, 8, "RAS"), "--frame", "LPS", "--out", tmp_path / "o")
    assert result.exit_code == 1 and "the points fit RAS better than LPS" in result.stderr


def test_each_cohort_of_an_importer_has_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, file in (("lidc", "cohort.csv"), ("own", "cases.csv")):
        (tmp_path / name).mkdir()
        write_cohort(tmp_path / name, 2).rename(tmp_path / name / file)
        check(f"{name}/{file}", "--frame", "LPS")
    assert sorted(page.as_posix() for page in Path("check").glob("*/check.html")) == [
        "check/cases/check.html",
        "check/lidc/check.html",
    ]


def test_a_good_cohort_ends_with_zero_and_the_page(tmp_path):
    result = check(write_cohort(tmp_path, 8), "--frame", "LPS", "--out", tmp_path / "o")
    assert (result.exit_code, result.stderr.strip()) == (0, "")
    assert str(tmp_path / "o" / "check.html") in result.output.replace("\n", "")


def test_an_earlier_sheet_is_replaced_and_other_files_stay(tmp_path):
    table, out = write_cohort(tmp_path, 2), tmp_path / "o"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "check.html").write_text("old")
    assert check(table, "--frame", "LPS", "--out", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["check.csv", "check.html", "notes.txt"]
    assert "old" not in (out / "check.html").read_text(encoding="utf-8")[:20]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "a"], "expected whole numbers such as 32,32,16, got 'a'"),
        (["--size", "0"], "greater than or equal to 1"),
        (["--size", "8,8,8,8"], "Input should be 2 or 3"),
        (["--spacing", "1,2"], "expected 3 numbers"),
        (["--classes", "benign"], "expected two or more different labels"),
    ],
)
def test_a_wrong_box_is_a_wrong_call(tmp_path, arguments, message):
    result = check(tmp_path / "t.csv", *arguments)
    assert result.exit_code == 2 and message in result.stderr.replace("\n", " ")


def test_classes_and_patch_come_from_a_configuration(tmp_path):
    table = write_cohort(tmp_path, 4)
    (tmp_path / "c.yaml").write_text(
        "name: a\ndata: {cohort: x.csv, frame: LPS}\npatch: {size: [8, 8, 8], spacing: 3.0}\n"
    )
    result = check(table, "--config", tmp_path / "c.yaml", "--out", tmp_path / "o")
    assert result.exit_code == 0, result.output
    assert "24 × 24 × 24 mm (8 × 8 × 8 voxels)" in (tmp_path / "o" / "check.html").read_text()


def test_fewer_cards_than_cases_keep_those_with_findings(tmp_path):
    table = add(write_cohort(tmp_path, 4), "lost,p,lost.nii.gz,benign,0,0,0,5")
    found = look(table, "LPS")
    assert [case.case_id for case in chosen(found.cases, tags(found), 2)] == ["lost", "c0"]


def test_a_card_names_the_cases_that_share_its_lesion(tmp_path):
    table = write_cohort(tmp_path, 4)
    add(table, table.read_text().splitlines()[1].replace("c0,", "twin,", 1))
    found = look(table, "LPS")
    assert tags(found)[0] == (("look", "one lesion in two rows: twin"),)
    assert tags(found)[1] == ()


def test_names_with_markup_are_text(tmp_path):
    table = write_cohort(tmp_path, 2)
    table.write_text(table.read_text().replace("\nc0,", "\n<b>[red]x,"))
    check(table, "--frame", "LPS", "--out", tmp_path / "o")
    page = (tmp_path / "o" / "check.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;[red]x" in page and "<b>[red]x" not in page


def test_a_card_is_small(tmp_path):
    table, sizes = write_cohort(tmp_path, 2), []
    opened = open_table(config.Data(cohort=table.name, frame="LPS"), tmp_path)
    survey(opened, PATCH, lambda i, cuts: sizes.append(len(drawing(cuts))), lambda a, b: None)
    assert max(sizes) < 60_000


def test_outline_box_and_point_lie_on_the_pixels_they_mean():
    inside = np.zeros((10, 20), bool)
    inside[3:5, 6:9] = True
    cut = Cut("axial", np.zeros((10, 20), np.uint8), inside, (10.0, 5.0), (5.0, 2.0, 10.0, 6.0))
    text = drawing(Cuts((cut,), 1.0, True, (0.0, 1.0)))
    steps = re.search(r'class="mask" d="M([^"]*)"', text)[1]
    x, y = np.array([step.split() for step in steps.split("L")], float).T
    assert (x.min(), x.max(), y.min(), y.max()) == (6, 9, 3, 5)
    assert '<rect class="box" x="5.0" y="2.0" width="10.0" height="6.0"/>' in text


def test_an_album_gives_back_the_last_drawing_of_each_case():
    cut = Cut("", np.zeros((3, 4), np.uint8), None, (2.0, 1.5), (0.0, 0.0, 4.0, 3.0))
    with Album() as album:
        album.add(5, Cuts((cut,), 1.0, False, (0.0, 1.0)))
        first = album.get(5)
        album.add(5, Cuts((cut, cut), 1.0, False, (0.0, 1.0)))
        assert first.count("<image") == 1 and album.get(5).count("<image") == 2
        assert album.get(6) == ""


def test_terminal_and_page_share_their_tables(tmp_path):
    found = look(write_cohort(tmp_path, 8, masks=True), "LPS")
    titles = {section.title: section for section in sections(found)}
    assert titles["Classes"].rows[-1] == ("all", "8", "8", "0", "0", "14.0 to 14.0, median 14.0")
    row = titles["Frame of the points"].rows[0]
    assert row == ("LPS (as named)", "8 of 8", "8 of 8", "8 of 8", "8 of 8", "8")
    assert frame_sentence(found.frame).startswith("The points fit the frame they are given in, LPS")
    assert conclusion(found) == ""


def test_many_values_are_counted_and_the_rest_told():
    assert counted("aabcdefgh") == "a (2), b (1), c (1), d (1), e (1), f (1), and 2 more"


def test_histograms_are_drawn_only_of_what_differs(tmp_path):
    table = write_cohort(tmp_path, 4)
    assert histograms(look(table, "LPS")) is None
    table.write_text(table.read_text().replace(",14\n", ",15\n", 2))
    text = histograms(look(table, "LPS"))
    assert "diameter, mm" in text and "slice step" not in text


def test_the_real_mass_is_in_the_middle_of_its_cuts(real_data, tmp_path):
    table = tmp_path / "t.csv"
    folder = (real_data / "ct_chest_dicom").resolve()
    table.write_text(
        "case_id,patient_id,image,label,column,row,instance_number\n"
        f"mass,p,{folder},malignant,166,302,17\n"
    )
    opened = open_table(config.Data(cohort=table.name, first_pixel=0), tmp_path)
    with Album() as album:
        found = survey(opened, config.Patch(), album.add, lambda done, total: None)
        write_contact_sheet(found, album, tmp_path / "o", 10)
    assert found.cases[0].given.tissue and found.cases[0].given.lung
    assert found.cases[0].meta["manufacturer"] == "SIEMENS"


def test_a_folder_in_use_is_never_written_into(tmp_path):
    table = write_cohort(tmp_path, 2)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = check(table, "--frame", "LPS", "--out", tmp_path)
    assert (result.exit_code, "in use; name another with --out" in result.output) == (1, True)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
