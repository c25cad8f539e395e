import re

import numpy as np
import pydicom
import pytest
from matplotlib.path import Path as Outline
from nibabel.nifti1 import Nifti1Image, save

from capsmed.data.masks import Mask, open_mask
from capsmed.data.masks.polygons import filled
from capsmed.data.readers import open_volume
from capsmed.errors import DataError
from tests.data.mask_writers import (
    FRAME,
    ball,
    circles,
    write_rtstruct,
    write_seg,
    write_seg_nrrd,
)
from tests.data.scan_writers import write_dicom

SHAPE = (29, 23, 17)
AFFINE = np.array([[-0.9, 0, 0, 40], [0, -0.7, 0, -12], [0, 0, 2, 300], [0, 0, 0, 1.0]])
CENTRE = (AFFINE @ [14, 11, 8, 1])[:3]
RADIUS = 6.1  # no voxel of any grid here lies just on it
INSIDE = ball(SHAPE, AFFINE, CENTRE, RADIUS)


@pytest.fixture
def scan(tmp_path):
    folder = tmp_path / "scan"
    write_dicom(folder, np.zeros(SHAPE, np.int16), AFFINE, FrameOfReferenceUID=FRAME)
    return open_volume(folder)


def as_nifti(path, inside, affine):
    save(Nifti1Image(np.asarray(inside, np.uint8), affine), path)
    return path


def other_grid(spacing, turn):
    """A grid of another spacing and orientation over the whole scan."""
    affine = np.diag([*spacing, 1.0]) @ turn
    shape = np.full(3, 60)
    affine[:3, 3] = CENTRE - affine[:3, :3] @ ((shape - 1) / 2)
    return tuple(shape), affine


FLIPPED = np.array([[0, 0, -1, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
WRITERS = {
    "label map": lambda folder: as_nifti(folder / "m.nii.gz", INSIDE, AFFINE),
    "seg.nrrd": lambda folder: write_seg_nrrd(
        folder / "m.seg.nrrd", INSIDE * 3, AFFINE, [("nodule", 3, 0), ("lung", 1, 0)]
    ),
    "binary SEG": lambda folder: write_seg(
        folder / "m.dcm", {"lung": ~INSIDE, "nodule": INSIDE}, AFFINE
    ),
    "fractional SEG": lambda folder: write_seg(
        folder / "m.dcm", {"lung": ~INSIDE, "nodule": INSIDE}, AFFINE, "FRACTIONAL"
    ),
    "label-map SEG": lambda folder: write_seg(
        folder / "m.dcm", {"lung": ~INSIDE, "nodule": INSIDE}, AFFINE, "LABELMAP"
    ),
    "RTSTRUCT": lambda folder: write_rtstruct(
        folder / "m.dcm",
        {"lung": [], "nodule": circles(AFFINE, SHAPE[2], CENTRE, RADIUS)},
    ),
}


@pytest.mark.parametrize("form", WRITERS)
def test_every_form_gives_the_same_voxels_in_the_patient(form, tmp_path, scan):
    mask = open_mask(WRITERS[form](tmp_path), "" if form == "label map" else "nodule", scan)
    assert np.allclose(mask.centroid(), CENTRE, atol=1e-3)
    assert mask.inside.sum() == INSIDE.sum()
    index = np.argwhere(np.ones(SHAPE, bool))
    points = (index @ AFFINE[:3, :3].T + AFFINE[:3, 3]).reshape(*SHAPE, 3)
    assert np.array_equal(mask.contains(points), INSIDE)


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 0.8), (1.1, 0.5, 0.7)])
@pytest.mark.parametrize("turn", [np.eye(4), FLIPPED], ids=["straight", "turned"])
def test_a_mask_on_another_grid_is_placed_by_its_millimetres(spacing, turn, tmp_path, scan):
    shape, affine = other_grid(spacing, turn)
    mask = open_mask(as_nifti(tmp_path / "m.nii", ball(shape, affine, CENTRE, RADIUS), affine))
    assert np.allclose(mask.centroid(), CENTRE, atol=0.05)
    assert mask.diameter_mm() == pytest.approx(2 * RADIUS, rel=0.02)
    assert mask.touches(scan)


def test_a_cropped_mask_keeps_its_place(tmp_path):
    cropped = AFFINE.copy()
    cropped[:3, 3] += AFFINE[:3, :3] @ [5, 3, 2]
    mask = open_mask(as_nifti(tmp_path / "m.nii", INSIDE[5:, 3:, 2:], cropped))
    assert np.allclose(mask.centroid(), CENTRE, atol=1e-4)


def test_a_mask_beside_the_scan_does_not_touch_it(scan):
    moved = AFFINE.copy()
    moved[0, 3] += 200
    assert Mask(INSIDE, AFFINE).touches(scan) and not Mask(INSIDE, moved).touches(scan)


def test_an_empty_mask_has_no_centre_and_touches_nothing(scan):
    mask = Mask(np.zeros(SHAPE, bool), AFFINE)
    assert not mask.touches(scan) and not mask.contains(np.array([CENTRE])).any()
    for ask in (mask.centroid, mask.diameter_mm):
        with pytest.raises(DataError, match="the mask is empty"):
            ask()


@pytest.mark.parametrize("segment", ["", "2"])
def test_labels_of_an_image_are_chosen_by_number_or_taken_together(tmp_path, segment):
    labels = INSIDE * 2 + np.roll(INSIDE, 9, axis=1)
    mask = open_mask(as_nifti(tmp_path / "m.nii", labels, AFFINE), segment)
    wanted = labels == 2 if segment else labels > 0
    assert mask.inside.sum() == wanted.sum()


def test_an_unknown_label_lists_those_there_are(tmp_path):
    path = as_nifti(tmp_path / "m.nii", INSIDE * 2, AFFINE)
    with pytest.raises(DataError, match="no label 'nodule'; the mask's labels are 2"):
        open_mask(path, "nodule")


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "label map"])
def test_an_unknown_or_unnamed_segment_lists_those_there_are(form, tmp_path, scan):
    path = WRITERS[form](tmp_path)
    with pytest.raises(DataError, match="no segment 'Nodul'; the file has .*mean 'nodule'"):
        open_mask(path, "Nodul", scan)
    with pytest.raises(DataError, match="expected one segment, got 2; name it .*'lung'"):
        open_mask(path, "", scan)


def test_segments_that_overlap_lie_in_layers_of_a_seg_nrrd(tmp_path):
    layers = np.stack([INSIDE * 5, np.roll(INSIDE, 2, axis=2) * 4])
    path = write_seg_nrrd(tmp_path / "m.seg.nrrd", layers, AFFINE, [("a", 5, 0), ("b", 4, 1)])
    moved = CENTRE + [0, 0, 4]
    assert np.allclose(open_mask(path, "a").centroid(), CENTRE, atol=1e-4)
    assert np.allclose(open_mask(path, "b").centroid(), moved, atol=1e-4)


@pytest.mark.parametrize("gap", [True, False])
def test_a_seg_without_its_empty_frames_keeps_the_step_between_planes(tmp_path, scan, gap):
    every_third = INSIDE & (np.arange(SHAPE[2]) % 3 == 2)
    path = write_seg(tmp_path / "m.dcm", {"nodule": every_third}, AFFINE, gap=gap)
    mask = open_mask(path, reference=scan)
    assert mask.inside.sum() == every_third.sum()
    assert np.linalg.norm(mask.affine[:3, 2]) == pytest.approx(2.0)


def test_frames_of_a_seg_at_uneven_steps_are_refused(tmp_path, scan):
    path = write_seg(tmp_path / "m.dcm", {"nodule": INSIDE}, AFFINE)
    ds = pydicom.dcmread(path)
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] += 0.6
    pydicom.dcmwrite(path, ds)
    with pytest.raises(DataError, match="frames at equal steps, got uneven ones"):
        open_mask(path, reference=scan)


def test_highdicom_writes_a_seg_that_is_read_back(tmp_path, scan):
    hd = pytest.importorskip("highdicom")
    sources = [pydicom.dcmread(file) for file in scan.files]
    for name in ("PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
                 "StudyDate", "StudyTime", "ReferringPhysicianName"):  # fmt: skip
        for source in sources:
            setattr(source, name, "")
    path = tmp_path / "m.dcm"
    highdicom_seg(hd, sources, INSIDE).save_as(path)
    mask = open_mask(path, "nodule", scan)
    assert mask.inside.sum() == INSIDE.sum()
    assert np.allclose(mask.centroid(), CENTRE, atol=1e-3)


@pytest.mark.parametrize("write", [write_seg, write_rtstruct], ids=["SEG", "RTSTRUCT"])
@pytest.mark.parametrize(
    ("other", "message"),
    [({"series": "9.9"}, "another series"), ({"frame": "9.9"}, "another frame of reference")],
)
def test_a_mask_of_another_scan_is_refused(write, other, message, tmp_path, scan):
    content = (
        [{"nodule": INSIDE}, AFFINE]
        if write is write_seg
        else [{"nodule": circles(AFFINE, SHAPE[2], CENTRE, RADIUS)}]
    )
    path = write(tmp_path / "m.dcm", *content, **other)
    with pytest.raises(DataError, match=message):
        open_mask(path, "", scan)


def test_an_outline_within_another_is_a_hole(tmp_path, scan):
    outer = circles(AFFINE, SHAPE[2], CENTRE, RADIUS)
    inner = circles(AFFINE, SHAPE[2], CENTRE, 3.0)
    mask = open_mask(write_rtstruct(tmp_path / "m.dcm", {"shell": outer + inner}), "", scan)
    hollow = INSIDE & ~ball(SHAPE, AFFINE, CENTRE, 3.0)
    assert mask.inside.sum() == hollow.sum() and not mask.contains(CENTRE)


def test_an_outline_given_twice_is_no_hole(tmp_path, scan):
    outlines = circles(AFFINE, SHAPE[2], CENTRE, RADIUS)
    mask = open_mask(write_rtstruct(tmp_path / "m.dcm", {"a": outlines + outlines}), "", scan)
    assert mask.inside.sum() == INSIDE.sum()


def test_outlines_across_the_slices_are_refused(tmp_path, scan):
    tilted = [corners + corners[:, [2, 2, 0]] * [0, 0, 0.2] for corners in
              circles(AFFINE, SHAPE[2], CENTRE, RADIUS)]  # fmt: skip
    with pytest.raises(DataError, match="parallel to the scan's slices, got some across them"):
        open_mask(write_rtstruct(tmp_path / "m.dcm", {"a": tilted}), "", scan)


def test_an_roi_of_points_only_is_refused(tmp_path, scan):
    path = write_rtstruct(tmp_path / "m.dcm", {"a": [np.array([CENTRE])]}, form="POINT")
    with pytest.raises(DataError, match="expected CLOSED_PLANAR outlines in the ROI, got POINT"):
        open_mask(path, "a", scan)


def test_outlines_on_planes_of_their_own_keep_their_distance(tmp_path, scan):
    planes = np.diag([1.0, 1, 1.25, 1])
    planes[2, 3] = CENTRE[2] - 10
    outlines = circles(planes, 17, CENTRE, RADIUS)
    mask = open_mask(write_rtstruct(tmp_path / "m.dcm", {"a": outlines}), "", scan)
    assert np.allclose(mask.centroid(), CENTRE, atol=0.05)
    assert mask.diameter_mm() == pytest.approx(2 * RADIUS, rel=0.02)


def test_outlines_far_away_are_refused_without_a_large_grid(tmp_path, scan):
    away = [corners + [0, 0, 1e7] for corners in circles(AFFINE, SHAPE[2], CENTRE, RADIUS)]
    with pytest.raises(DataError, match="the outlines do not touch the scan"):
        open_mask(write_rtstruct(tmp_path / "m.dcm", {"a": away}), "", scan)


def tilted_affine():
    """A grid turned about two axes, its slices sheared as by a tilted gantry."""
    a, b = 0.3, -0.2
    about_z = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    about_x = [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    affine = np.eye(4)
    affine[:3, :3] = np.array(about_z) @ about_x @ np.diag([-0.9, -0.7, 2.0])
    affine[:3, 2] += 0.15 * affine[:3, 1]
    affine[:3, 3] = 40, -12, 300
    return affine


def outlines_of(inside, affine):
    """The border of each plane's bounding box, half a pixel out, RAS mm."""
    found = []
    for z in np.flatnonzero(inside.any(axis=(0, 1))):
        where = np.argwhere(inside[:, :, z])
        (x0, y0), (x1, y1) = where.min(0) - 0.5, where.max(0) + 0.5
        corners = [[x0, y0, z, 1], [x1, y0, z, 1], [x1, y1, z, 1], [x0, y1, z, 1]]
        found.append((np.array(corners) @ affine.T)[:, :3])
    return found


@pytest.mark.parametrize("form", ["SEG", "RTSTRUCT"])
def test_a_mask_on_oblique_sheared_slices_covers_its_own_voxels(form, tmp_path):
    affine, inside = tilted_affine(), np.zeros(SHAPE, bool)
    inside[4:9, 13:20, 5:8] = inside[4:9, 13:20, 11] = True
    write_dicom(tmp_path / "scan", np.zeros(SHAPE, np.int16), affine, FrameOfReferenceUID=FRAME)
    scan = open_volume(tmp_path / "scan")
    path = tmp_path / "m.dcm"
    if form == "SEG":
        write_seg(path, {"a": inside}, affine, gap=False)
    else:
        write_rtstruct(path, {"a": outlines_of(inside, affine)})
    mask = open_mask(path, "a", scan)
    index = np.argwhere(np.ones(SHAPE, bool))
    held = mask.contains(index @ affine[:3, :3].T + affine[:3, 3]).reshape(SHAPE)
    assert np.array_equal(held, inside) and mask.inside.sum() == inside.sum()


def test_an_older_seg_nrrd_has_a_layer_for_each_segment(tmp_path):
    layers = np.stack([INSIDE * 1, np.roll(INSIDE, 2, axis=2) * 1])
    path = write_seg_nrrd(tmp_path / "m.seg.nrrd", layers, AFFINE, [("a", 1, 0), ("b", 1, 1)])
    path.write_bytes(re.sub(rb"Segment\d_(LabelValue|Layer):=\d\n", b"", path.read_bytes()))
    assert np.allclose(open_mask(path, "b").centroid(), CENTRE + [0, 0, 4], atol=1e-4)


@pytest.mark.parametrize("form", ["binary SEG", "RTSTRUCT", "seg.nrrd"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.97])
def test_a_mask_that_is_cut_off_is_refused(form, share, tmp_path, scan):
    path = WRITERS[form](tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="cut off|cannot be|expected|damaged|no segment"):
        open_mask(path, "nodule", scan)


def test_a_folder_with_one_rtstruct_in_it_is_that_file(tmp_path, scan):
    folder = tmp_path / "roi"
    folder.mkdir()
    write_rtstruct(folder / "1-1.dcm", {"a": circles(AFFINE, SHAPE[2], CENTRE, RADIUS)})
    assert np.allclose(open_mask(folder, "a", scan).centroid(), CENTRE, atol=1e-3)


def test_filling_agrees_with_another_implementation_on_a_ragged_outline():
    rng = np.random.default_rng(3)
    turn = np.linspace(0, 2 * np.pi, 61, endpoint=False)
    length = 9 + 5 * rng.random(61)
    corners = np.stack([19.3 + length * np.cos(turn), 15.1 + length * np.sin(turn)], axis=1)
    grid = np.stack(np.meshgrid(np.arange(37), np.arange(31), indexing="ij"), axis=-1)
    truth = Outline(corners).contains_points(grid.reshape(-1, 2)).reshape(37, 31)
    assert np.array_equal(filled([corners], (37, 31)), truth)


def test_a_square_is_filled_by_hand_and_cut_at_the_border():
    square = np.array([[1.5, 0.5], [4.5, 0.5], [4.5, 2.5], [1.5, 2.5]])
    expected = np.zeros((7, 5), bool)
    expected[2:5, 1:3] = True
    assert np.array_equal(filled([square], (7, 5)), expected)
    assert np.array_equal(filled([square + [4, 3]], (7, 5)), np.roll(expected, (4, 3), (0, 1)) & (
        np.arange(7)[:, None] >= 4) & (np.arange(5) >= 3))  # fmt: skip


def highdicom_seg(hd, sources, inside):
    from pydicom.sr.codedict import codes

    described = hd.seg.SegmentDescription(
        1, "nodule", codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Nodule, "MANUAL"
    )
    frames = np.moveaxis(inside, -1, 0).swapaxes(1, 2).astype(np.uint8)
    return hd.seg.Segmentation(
        sources, frames, "BINARY", [described], hd.UID(), 5, hd.UID(), 1, "m", "m", "1", "1"
    )
