"""LUNA16 becomes a cohort table; the challenge's layout is written here with synthetic scans.

The set is not beside the tests: subset folders, .mhd + .raw, and CSV files with the challenge's
column names are as published, pixels and UIDs are made up.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.cut import cut
from capsmed.data.importers import Imported, Options, read
from capsmed.errors import DataError
from tests.data.scan_writers import write_metaimage

SHAPE = (31, 29, 23)
CORNER = np.array([-90.0, -110.0, -240.0])  # LPS mm of the first voxel
SPACING = np.array([0.7, 0.7, 1.25])
NODULE = (17, 11, 9)  # voxel
UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001.77"
Row = dict[str, str]


def lps(voxel) -> np.ndarray:
    return CORNER + SPACING * voxel


def points(number: int) -> list[tuple[np.ndarray, int]]:
    """Eight non-nodules, then two candidates in the one nodule."""
    others = [((4 + n, 5, 6), 0) for n in range(8)]
    return [(lps(voxel), kind) for voxel, kind in [*others, (NODULE, 1), ((18, 11, 9), 1)]]


@pytest.fixture
def layout(tmp_path: Path) -> Callable[..., Path]:
    """Write so many scans over the subsets, with lists that name one scan more."""

    def write(scans: int = 4, subsets: int = 2, csv: str = "CSVFILES", v2: bool = True) -> Path:
        source = tmp_path / "LUNA16"
        affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
        affine[:3, 3] = CORNER * [-1, -1, 1]
        hu = np.full(SHAPE, -900, np.int16)
        hu[16:19, 10:13, 8:11] = 50
        for number in range(scans):
            folder, uid = source / f"subset{number % subsets}", f"{UID}.{number}"
            folder.mkdir(parents=True, exist_ok=True)
            write_metaimage(folder / f"{uid}.mhd", hu, affine, ElementDataFile=f"{uid}.raw")
            (folder / "scan.raw").rename(folder / f"{uid}.raw")
        (source / csv).mkdir(exist_ok=True)
        name = "candidates_V2.csv" if v2 else "candidates.csv"
        (source / csv / name).write_text(candidates(scans + 1), encoding="utf-8")
        (source / csv / "annotations.csv").write_text(annotations(scans + 1), encoding="utf-8")
        return source

    return write


def candidates(scans: int) -> str:
    lines = ["seriesuid,coordX,coordY,coordZ,class"]
    for number in range(scans):
        lines += [f"{UID}.{number},{x},{y},{z},{kind}" for (x, y, z), kind in points(number)]
    return "\n".join(lines) + "\n"


def annotations(scans: int) -> str:
    lines = ["seriesuid,coordX,coordY,coordZ,diameter_mm"]
    for number in range(scans):
        (x, y, z), (a, b, c) = lps(NODULE), lps((25, 11, 9))
        lines += [f"{UID}.{number},{a},{b},{c},6.5", f"{UID}.{number},{x},{y},{z},4.25"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def run(layout, tmp_path: Path) -> Callable[..., Imported]:
    def write(source: Path | None = None, **options) -> Imported:
        return read("luna16", source or layout(), tmp_path / "out", Options(**options))

    return write


def test_every_nodule_and_five_others_of_each_scan_are_rows(rows, run) -> None:
    imported = run()
    counts = Counter((row["patient_id"], row["label"]) for row in rows(imported.table))
    assert counts == {
        (f"{UID}.{n}", label): count
        for n in range(4)
        for label, count in (("nodule", 2), ("non-nodule", 5))
    }
    assert imported.left_out == {
        "non-nodule beyond those wanted of a scan": 12,
        "point of a scan that is not in the source": 10,
    }


def test_points_stay_as_the_list_has_them(rows, run) -> None:
    nodules = [row for row in rows(run().table) if row["label"] == "nodule"]
    places = {tuple(float(row[axis]) for axis in "xyz") for row in nodules}
    assert places == {tuple(lps(NODULE)), tuple(lps((18, 11, 9)))}


def test_the_published_subsets_are_the_folds(rows, run) -> None:
    folds = {row["patient_id"]: row["fold"] for row in rows(run().table)}
    assert folds == {f"{UID}.{n}": str(n % 2) for n in range(4)}


def test_a_nodules_diameter_is_that_of_the_annotation_round_it(rows, run) -> None:
    found = {(row["label"], row["diameter_mm"]) for row in rows(run().table)}
    assert found == {("nodule", "4.25"), ("non-nodule", "")}


def test_the_choice_of_others_follows_the_seed_and_no_other_scan(layout, tmp_path, rows) -> None:
    def chosen(source: Path, out: str, seed: int) -> set[str]:
        imported = read("luna16", source, tmp_path / out, Options(seed=seed))
        return {row["case_id"] for row in rows(imported.table) if row["image"].endswith(".1.mhd")}

    source = layout()
    first, same, other = (chosen(source, f"out{n}", n // 2) for n in range(3))
    assert first == same != other
    (source / "subset0" / f"{UID}.0.mhd").unlink()
    assert chosen(source, "fewer", 0) == first


def test_scans_do_not_all_draw_the_same_others(rows, run) -> None:
    drawn: dict[str, list[str]] = {}
    for row in rows(run().table):
        drawn.setdefault(row["patient_id"], []).append(row["case_id"].rpartition("_")[2])
    assert len(set(map(tuple, drawn.values()))) > 1


def test_the_number_of_others_can_be_chosen(rows, run) -> None:
    labels = Counter(row["label"] for row in rows(run(negatives_per_scan=7).table))
    assert labels == {"nodule": 8, "non-nodule": 28}


def test_nodules_alone_come_from_the_annotations(rows, run) -> None:
    imported = run(nodules_only=True)
    found = Counter((row["label"], row["diameter_mm"]) for row in rows(imported.table))
    assert found == {("nodule", "4.25"): 4, ("nodule", "6.5"): 4}
    assert any("one class only" in note for note in imported.notes)


@pytest.mark.parametrize(("csv", "v2"), [(".", True), ("CSVFILES", False)])
def test_either_list_of_candidates_is_found_in_either_place(
    csv: str, v2: bool, layout, run
) -> None:
    assert run(layout(csv=csv, v2=v2)).rows == 28


def test_lists_may_lie_elsewhere(layout, tmp_path: Path, run) -> None:
    source = layout(csv="../lists")
    with pytest.raises(DataError, match="expected annotations.csv in .*--annotations"):
        run(source)
    assert run(source, annotations=tmp_path / "lists").rows == 28


def test_lung_masks_of_the_same_name_are_no_scans(layout, run) -> None:
    source = layout()
    masks = source / "seg-lungs-LUNA16"
    masks.mkdir()
    (masks / f"{UID}.0.mhd").write_text("another file")
    imported = run(source)
    assert imported.rows == 28
    assert imported.left_out[".mhd file outside the folders subset0 to subset9"] == 1


def test_a_scan_without_its_voxels_is_left_out_with_its_points(layout, run) -> None:
    source = layout()
    next(source.glob("subset1/*.1.raw")).unlink()
    imported = run(source)
    assert imported.left_out["scan that cannot be read"] == 1
    assert imported.left_out["point of a scan that cannot be read"] == 10
    assert imported.rows == 21


def test_points_outside_their_scan_are_left_out(layout, run) -> None:
    source = layout()
    path = source / "CSVFILES" / "candidates_V2.csv"
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{UID}.0,0,0,0,1\n{UID}.0,-80,-100,-230,1\n")
    imported = run(source)
    assert (imported.left_out["point outside its scan"], imported.rows) == (1, 29)
    assert any(note.endswith("without diameter: 1") for note in imported.notes)


def test_one_subset_alone_has_no_published_folds(layout, rows, run) -> None:
    imported = run(layout(scans=2, subsets=1))
    assert "fold" not in rows(imported.table)[0]
    assert any("no published folds" in note for note in imported.notes)


def test_patients_are_said_to_be_unknown(run) -> None:
    assert any("names no patients" in note for note in run().notes)


def test_a_nodule_is_bright_in_the_middle_of_its_patch(run) -> None:
    imported = run()
    data = config.Data(cohort="cohort.csv", frame=imported.settings["data.frame"])
    cohort = Cohort.read(data, imported.table.parent)
    patch = config.Patch(size=(9, 9, 9), spacing=0.7, window=(-900, 50))
    row = cohort.included.query("label == 'nodule'").iloc[0]
    values = cut(cohort.volume(row), row[["x", "y", "z"]].to_numpy(float), patch)[0]
    centre = np.argwhere(values > 0.5).mean(axis=0)
    assert values[4, 4, 4] == pytest.approx(1) and centre == pytest.approx([4, 4, 4], abs=0.5)


def test_nodules_are_the_positive_class(run) -> None:
    imported = run()
    assert imported.settings == {
        "data.frame": "LPS",
        "data.classes": "null",
        "data.positive": "nodule",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seriesuid,x,y,z,class\n1,1,1,1,0\n", "expected the columns seriesuid, coordX"),
        ("seriesuid,coordX,coordY,coordZ,class\n1,1,one,1,0\n", "expected the columns .*numbers"),
        ("seriesuid,coordX,coordY,coordZ,class\n1,1,,1,0\n", "expected a number in every cell"),
        ("seriesuid,coordX,coordY,coordZ,class\n1,1,1,1,2\n", "expected the classes 0 and 1"),
        ("", "expected the columns"),
    ],
)
def test_a_list_in_another_form_is_refused(text: str, message: str, layout, run) -> None:
    source = layout()
    (source / "CSVFILES" / "candidates_V2.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=f"candidates_V2.csv: {message}"):
        run(source)


def test_lists_of_other_scans_are_refused(layout, tmp_path: Path, run) -> None:
    source = layout(scans=1)
    next(source.glob("subset0/*.mhd")).rename(source / "subset0" / "1.2.3.mhd")
    with pytest.raises(DataError, match="expected scans of LUNA16's lists, got none; 1 x scan"):
        run(source)
    assert not (tmp_path / "out").exists()
