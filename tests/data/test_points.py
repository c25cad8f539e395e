import json

import numpy as np
import pytest

from capsmed import config
from capsmed.data import images
from capsmed.data.cohort import Cohort
from capsmed.errors import DataError
from tests.data.mask_writers import FRAME, ball, circles, write_rtstruct
from tests.data.scan_writers import write_dicom, write_nifti

HEAD = "case_id,patient_id,image,label"
SHAPE = (29, 23, 17)
AFFINE = np.array([[-0.9, 0, 0, 40], [0, -0.7, 0, -12], [0, 0, 2, 300], [0, 0, 0, 1.0]])
CENTRE = (AFFINE @ [14, 11, 8, 1])[:3]


@pytest.fixture
def site(tmp_path):
    """A folder with one scan as DICOM (1-based InstanceNumbers along z) and as NIfTI."""
    hu = np.zeros(SHAPE, np.int16)
    write_dicom(tmp_path / "scan", hu, AFFINE, FrameOfReferenceUID=FRAME)
    write_nifti(tmp_path / "scan.nii.gz", hu, AFFINE)
    return tmp_path


@pytest.fixture
def read(site):
    """Read a table of (further columns, cells of each row); the first row is benign."""

    def make(columns, *rows, image="scan", head=HEAD, **options):
        lines = [f"{head},{columns}"]
        for i, cells in enumerate(rows):
            lines.append(f"c{i},p{i},{image},{'benign' if i == 0 else 'malignant'},{cells}")
        (site / "cohort.csv").write_text("\n".join(lines))
        return Cohort.read(config.Data(cohort="cohort.csv", **options), site)

    return make


def points(cohort):
    return cohort.table[["x", "y", "z"]].to_numpy(float)


def write_mask(path, inside, affine=AFFINE):
    return write_nifti(path, np.asarray(inside, np.int16), affine)


@pytest.mark.parametrize(("first", "cells"), [(0, "14,11"), (1, "15,12")])
def test_a_pixel_is_placed_by_its_slices_number(read, first, cells):
    cohort = read("column,row,instance_number", f"{cells},9", f"{cells},10", first_pixel=first)
    assert np.allclose(points(cohort), [CENTRE, CENTRE + [0, 0, 2]], atol=1e-4)
    assert list(cohort.table["point_from"]) == ["pixel", "pixel"]


def test_a_pixel_is_placed_by_its_slices_uid_and_between_pixels(read):
    cohort = read("column,row,sop_uid", "14.5,11,1.2.3.4.9", "14,11.25,1.2.3.4.9", first_pixel=0)
    assert np.allclose(points(cohort) - CENTRE, [[-0.45, 0, 0], [0, -0.175, 0]], atol=1e-4)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("14,11,40,", "expected one slice with InstanceNumber 40, got 0"),
        ("14,11,9,1.2.3.4.8", "InstanceNumber 9 and SOPInstanceUID 1.2.3.4.8, got 0"),
        ("14,11,,", "expected instance_number or sop_uid beside column and row, got neither"),
        ("14,,9,", "row: expected a pixel's number, got ''"),
        ("14,11,nine,", "instance_number: expected a whole number, got 'nine'"),
        ("29,11,9,", "outside the slice: column 29, row 11 from its first pixel, of .29, 23."),
    ],
)
def test_a_pixel_that_is_nowhere_is_a_bad_row(read, cells, message):
    with pytest.raises(DataError, match=rf"row 3 \(case c1\): point: .*{message}"):
        read("column,row,instance_number,sop_uid", "14,11,9,", cells, first_pixel=0)


def test_a_number_that_two_slices_share_places_nothing(read, site):
    write_dicom(site / "twice", np.zeros(SHAPE, np.int16), AFFINE, InstanceNumber=1)
    with pytest.raises(DataError, match="expected one slice with InstanceNumber 1, got 17"):
        read("column,row,instance_number", "14,11,1", "14,11,1", image="twice", first_pixel=0)


def test_pixels_need_the_first_ones_number_and_a_slice(read):
    with pytest.raises(DataError, match="data.first_pixel: cohort.csv has points .* 0 or 1"):
        read("column,row,instance_number", "14,11,9", "14,11,9")
    with pytest.raises(DataError, match="expected the column instance_number or sop_uid"):
        read("column,row", "14,11", "14,11", first_pixel=0)


def test_pixels_of_an_image_without_slices_are_bad_rows(read):
    with pytest.raises(DataError, match="expected DICOM slices, got a nifti image; give x, y, z"):
        read("column,row,instance_number", "1,1,1", "1,1,1", image="scan.nii.gz", first_pixel=0)


def test_a_column_called_row_alone_is_any_other_column(read):
    cohort = read("row", "4", "5")
    assert list(cohort.table["row"]) == ["4", "5"]
    assert list(cohort.table["point_from"]) == ["image centre"] * 2


def test_markups_bring_their_own_frame(read, site):
    control = {"label": "n", "position": [-CENTRE[0], -CENTRE[1], CENTRE[2]]}
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": [control]}
    (site / "a.mrk.json").write_text(json.dumps({"markups": [markup]}))
    cohort = read("markup,markup_label", "a.mrk.json,", "a.mrk.json,n")
    assert np.allclose(points(cohort), CENTRE)
    assert list(cohort.table["point_from"]) == ["markup", "markup"]


def test_rows_may_give_their_points_in_different_ways(read, site):
    write_mask(site / "m.nii.gz", ball(SHAPE, AFFINE, CENTRE, 5.1))
    x, y, z = CENTRE
    cohort = read(
        "x,y,z,column,row,instance_number,mask",
        f"{-x},{-y},{z},,,,",
        ",,,14,11,9,",
        ",,,,,,m.nii.gz",
        frame="LPS",
        first_pixel=0,
    )
    assert np.allclose(points(cohort), CENTRE, atol=1e-3)
    assert list(cohort.table["point_from"]) == ["x, y, z", "pixel", "mask"]


def test_two_ways_in_one_row_and_none_in_another_are_bad_rows(read):
    with pytest.raises(DataError, match="2 rows cannot be used") as caught:
        read(
            "x,y,z,column,row,instance_number",
            "1,2,300,14,11,9",
            ",,,,,",
            "1,2,300,,,",
            frame="RAS",
            first_pixel=0,
        )
    assert (
        "row 2 (case c0): expected one way of giving the point, got x, y, z and column and row"
        in (str(caught.value))
    )
    assert "row 3 (case c1): expected a point, as other rows have one, got none" in str(
        caught.value
    )


def test_without_points_and_diameters_both_come_from_the_mask(read, site):
    write_mask(site / "a.nii.gz", ball(SHAPE, AFFINE, CENTRE, 5.1))
    shape, affine = (60, 60, 60), np.diag([0.3, -0.4, 0.35, 1])
    affine[:3, 3] = CENTRE - affine[:3, :3] @ [29.5, 29.5, 29.5]
    write_mask(site / "b.nii.gz", ball(shape, affine, CENTRE, 5.1), affine)
    table = read("mask", "a.nii.gz", "b.nii.gz").table
    assert np.allclose(table[["x", "y", "z"]].to_numpy(float), CENTRE, atol=1e-3)
    assert np.allclose(table["diameter_mm"], 10.2, rtol=0.03)
    assert set(table["point_from"]) == set(table["diameter_from"]) == {"mask"}


def test_a_diameter_cell_is_taken_before_the_mask(read, site):
    write_mask(site / "a.nii.gz", ball(SHAPE, AFFINE, CENTRE, 5.1))
    write_mask(site / "b.nii.gz", ball(SHAPE, AFFINE, CENTRE, 5.1))
    table = read("mask,diameter_mm", "a.nii.gz,7.5", "b.nii.gz,").table
    assert table["diameter_mm"][0] == 7.5 and table["diameter_mm"][1] == pytest.approx(10.2, 0.03)
    assert list(table["diameter_from"]) == ["column", "mask"]


def test_an_roi_is_named_in_its_column(read, site):
    rois = {"left": circles(AFFINE, SHAPE[2], CENTRE, 5.1)}
    rois["right"] = circles(AFFINE, SHAPE[2], CENTRE + [-5, 0, 0], 3.1)
    write_rtstruct(site / "rois.dcm", rois)
    cohort = read("mask,mask_segment", "rois.dcm,left", "rois.dcm,right")
    assert np.allclose(points(cohort) - CENTRE, [[0, 0, 0], [-5, 0, 0]], atol=0.3)
    row = cohort.included.iloc[1]
    assert cohort.mask(row).contains(points(cohort)[1])


def test_masks_that_cannot_be_used_are_listed_with_all_other_faults(read, site):
    away = AFFINE.copy()
    away[0, 3] += 500
    write_mask(site / "empty.nii.gz", np.zeros(SHAPE))
    write_mask(site / "away.nii.gz", ball(SHAPE, AFFINE, CENTRE, 5.1), away)
    (site / "broken.nii.gz").write_bytes(b"no mask")
    with pytest.raises(DataError, match="5 rows cannot be used") as caught:
        read("mask,site", "empty.nii.gz,", "away.nii.gz,", "broken.nii.gz,", "lost.nii.gz,", ",")
    said = [line.split(": ", 1)[1] for line in str(caught.value).splitlines()[1:]]
    assert said[0] == "mask 'empty.nii.gz': it is empty"
    assert said[1] == "mask 'away.nii.gz': it does not touch the scan"
    assert said[2].startswith("mask 'broken.nii.gz': ") and "cannot be read" in said[2]
    assert said[3].startswith("mask 'lost.nii.gz' was not found")
    assert said[4] == "expected a point, as other rows have one, got none"


def test_a_mask_that_serves_two_rows_is_a_bad_row_of_both(read, site):
    write_mask(site / "m.nii.gz", ball(SHAPE, AFFINE, CENTRE, 5.1))
    with pytest.raises(DataError, match="2 rows .*(?s:.)*mask 'm.nii.gz': it serves several rows"):
        read("mask", "m.nii.gz", "m.nii.gz")


@pytest.mark.parametrize("policy", ["skip", "error"])
def test_a_scan_that_fails_a_check_follows_the_checks_policy(site, policy):
    write_dicom(site / "mr", np.zeros(SHAPE, np.int16), AFFINE, Modality="MR")
    lines = [f"{HEAD},column,row,instance_number"]
    for case, image, label in (("a", "scan", "b"), ("c", "scan", "m"), ("d", "mr", "b")):
        lines.append(f"{case},{case},{image},{label},14,11,9")
    (site / "cohort.csv").write_text("\n".join(lines))
    data = config.Data(cohort="cohort.csv", first_pixel=0, checks=config.Checks(not_ct=policy))
    if policy == "skip":
        assert list(Cohort.read(data, site).table["excluded"]) == ["", "", "check not_ct"]
    else:
        with pytest.raises(DataError, match="1 row .*(?s:.)*row 4 .*data.checks.not_ct"):
            Cohort.read(data, site)


def test_a_series_is_found_below_the_root_by_its_uid(read, site):
    tree = site / "dump"
    tree.mkdir()
    (site / "scan").rename(tree / "000123")
    write_dicom(tree / "000124", np.zeros(SHAPE, np.int16), AFFINE, SeriesInstanceUID="1.2.3.77")
    cohort = read("x,y,z", "1,2,300", "1,2,300", image="1.2.3.77", frame="RAS")
    opened = cohort.volume(cohort.included.iloc[0])
    assert opened.meta["series_uid"] == "1.2.3.77" and opened.shape == SHAPE
    with pytest.raises(DataError, match="image: found no DICOM series 1.2.3.78 below"):
        read("x,y,z", "1,2,300", "1,2,300", image="1.2.3.78", frame="RAS")


def test_the_uid_may_stand_in_its_own_column_alone_but_not_beside_another(read):
    cohort = read("series_uid", "1.2.3.4", "1.2.3.4", image="")
    assert cohort.volume(cohort.included.iloc[1]).shape == SHAPE
    with pytest.raises(DataError, match="expected one series, got image 1.2.3.4 and series_uid 1"):
        read("series_uid", "1.2.3.4", "1.2.3.9", image="1.2.3.4")


def test_a_series_is_picked_from_a_folder_by_its_column(read, site):
    both = site / "both"
    write_dicom(both / "a", np.zeros(SHAPE, np.int16), AFFINE)
    write_dicom(both / "b", np.zeros((5, 7, 3), np.int16), AFFINE, SeriesInstanceUID="1.2.3.77")
    cohort = read("series_uid", "1.2.3.4", "1.2.3.77", image="both")
    shapes = [cohort.volume(row).shape for _, row in cohort.included.iterrows()]
    assert shapes == [SHAPE, (5, 7, 3)]


def test_a_table_of_plain_points_opens_no_image(site):
    lines = [f"{HEAD},x,y,z,diameter_mm,mask"]
    for i in range(1000):
        (site / f"{i}.nii.gz").write_bytes(b"not an image")
        lines.append(f"c{i},p{i},{i}.nii.gz,{'ab'[i % 2]},1,2,3,4,{i}.nii.gz")
    (site / "cohort.csv").write_text("\n".join(lines))
    cohort = Cohort.read(config.Data(cohort="cohort.csv", frame="RAS"), site)
    assert len(cohort.included) == 1000 and set(cohort.table["diameter_from"]) == {"column"}


def test_the_point_on_the_real_mass_is_inside_the_real_series(real_data, tmp_path):
    text = f"{HEAD},column,row,instance_number\na,1,ct_chest_dicom,m,166,302,17\n"
    (tmp_path / "cohort.csv").write_text(text + "b,2,ct_chest_dicom,b,256,256,1\n")
    cohort = Cohort.read(config.Data(cohort="cohort.csv", first_pixel=0), tmp_path, real_data)
    row = cohort.included.iloc[0]
    index = np.linalg.inv(cohort.volume(row).affine) @ [row["x"], row["y"], row["z"], 1]
    assert np.allclose(index[:2], [166, 302], atol=1e-3) and row["z"] == pytest.approx(184, abs=8)


def test_backslashes_are_read_as_slashes_where_there_is_no_such_name(site):
    assert images.located("scan\\001.dcm", site) == site / "scan" / "001.dcm"
