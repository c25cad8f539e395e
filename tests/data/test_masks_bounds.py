"""Masks cost no more memory than they are worth, and outlines stand for the slices between."""

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pydicom
import pytest
from nibabel.nifti1 import Nifti1Image, save
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from capsmed.data.masks import dicom_object, open_mask
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

SHAPE = (31, 29, 37)
AFFINE = np.array([[-0.9, 0, 0, 40], [0, -0.8, 0, -12], [0, 0, 1, 300], [0, 0, 0, 1.0]])
CENTRE = (AFFINE @ [15, 14, 18, 1])[:3]
LARGE = (257, 241, 331)  # 20.5 million voxels, 82 MB as float32


@pytest.fixture
def scan(tmp_path):
    folder = tmp_path / "scan"
    write_dicom(folder, np.zeros(SHAPE, np.int16), AFFINE, FrameOfReferenceUID=FRAME)
    return open_volume(folder)


@contextmanager
def at_most(megabytes):
    """Whether what is allocated within peaks below so many megabytes."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * 2**20


def rois(tmp_path, outlines):
    return write_rtstruct(tmp_path / "m.dcm", {"a": outlines})


@pytest.mark.parametrize("every", [1, 2, 3])
def test_an_outline_on_every_kth_slice_stands_for_k_slices(every, tmp_path, scan):
    outlines = circles(AFFINE, SHAPE[2], CENTRE, 8.0)
    drawn = outlines[len(outlines) // 2 % every :: every]
    mask = open_mask(rois(tmp_path, drawn), "", scan)
    assert mask.affine[2, 2] == pytest.approx(every)
    assert mask.diameter_mm() == pytest.approx(16.0, rel=0.02)
    assert np.allclose(mask.centroid(), CENTRE, atol=0.6)


@pytest.mark.parametrize(
    ("slices", "gaps"),
    [((5, 7, 10), "2 to 3"), ((5, 7, 9, 14), "2 to 5"), ((5, 6, 8, 10), "1 to 2")],
)
def test_outlines_that_leave_slices_out_without_a_rule_are_refused(slices, gaps, tmp_path, scan):
    outlines = circles(AFFINE, SHAPE[2], CENTRE, 40.0)
    with pytest.raises(DataError, match=f"got gaps of {gaps} slices; outline the slices"):
        open_mask(rois(tmp_path, [outlines[z] for z in slices]), "", scan)


def test_two_lesions_in_one_roi_keep_their_slices_and_the_gap(tmp_path, scan):
    low, high = (CENTRE + [0, 0, z] for z in (-11, 11))
    outlines = [c for at in (low, high) for c in circles(AFFINE, SHAPE[2], at, 4.15)]
    mask = open_mask(rois(tmp_path, outlines), "", scan)
    both = ball(SHAPE, AFFINE, low, 4.15) | ball(SHAPE, AFFINE, high, 4.15)
    assert mask.inside.sum() == both.sum() and not mask.contains(CENTRE)


def test_two_single_outlines_far_apart_are_not_one_thick_lesion(tmp_path, scan):
    outlines = circles(AFFINE, SHAPE[2], CENTRE, 40.0)[4::25]
    small = [CENTRE * [1, 1, 0] + 0.1 * (c - CENTRE * [1, 1, 0]) * [1, 1, 10] for c in outlines]
    with pytest.raises(DataError, match=r"steps of 25.0 mm between outlines of up to \d.\d mm"):
        open_mask(rois(tmp_path, small), "", scan)


def test_a_long_outline_that_pydicom_leaves_as_bytes_is_read(tmp_path, scan, caplog):
    outlines = circles(AFFINE, SHAPE[2], CENTRE, 8.03, corners=2900)
    caplog.set_level("ERROR", "pydicom")
    with pytest.warns(UserWarning, match="exceeds the size of 64 kByte"):
        path = rois(tmp_path, outlines)
    mask = open_mask(path, "", scan)
    assert mask.inside.sum() == ball(SHAPE, AFFINE, CENTRE, 8.03).sum()


def test_filling_a_jagged_outline_takes_little_memory():
    zigzag = np.tile([[3.0, -1.0], [9.0, 600.0]], (10_000, 1)) + np.arange(20_000)[:, None] * 1e-4
    with at_most(40):
        assert filled([zigzag], (523, 509)).shape == (523, 509)


def test_a_small_seg_of_frames_far_apart_allocates_no_grid_between_them(tmp_path, scan):
    plane = np.ones((490, 490, 2), bool)
    path = write_seg(tmp_path / "m.dcm", {"a": plane}, np.diag([0.7, 0.7, 1, 1]))
    ds = pydicom.dcmread(path)
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] = 4000
    pydicom.dcmwrite(path, ds)
    with at_most(8), pytest.raises(DataError, match="got 490 x 490 x 4001 voxels, almost all"):
        open_mask(path, "", scan)


def test_frames_of_a_seg_are_cropped_before_they_are_stacked(tmp_path):
    inside = np.zeros((499, 503, 40), bool)
    inside[200:210, 300:320, 5] = inside[205:215, 300:320, 35] = True
    path = write_seg(tmp_path / "m.dcm", {"a": inside}, AFFINE)
    with at_most(4):
        mask = open_mask(path)
    assert mask.inside.shape == (15, 20, 31) and mask.inside.sum() == inside.sum()
    assert np.allclose(mask.affine[:3, 3], (AFFINE @ [200, 300, 5, 1])[:3])


@pytest.mark.parametrize(
    ("syntax", "encoder"),
    [(RLELossless, "pydicom"), (JPEG2000Lossless, "pylibjpeg"), (JPEGLSLossless, "pyjpegls")],
)
@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_a_compressed_seg_is_read_frame_by_frame(kind, syntax, encoder, tmp_path, scan):
    inside = ball((67, 71, 37), AFFINE, CENTRE, 8.03)
    path = write_seg(tmp_path / "m.dcm", {"a": inside}, AFFINE, kind)
    ds = pydicom.dcmread(path)
    ds.compress(syntax, encoding_plugin=encoder, generate_instance_uid=False)
    ds.save_as(path)
    mask = open_mask(path, "a", scan)
    assert mask.inside.sum() == inside.sum() and np.allclose(mask.centroid(), CENTRE, atol=1e-3)


@pytest.mark.parametrize("form", ["SEG", "RTSTRUCT"])
def test_a_deflated_mask_is_refused_before_it_is_inflated(form, tmp_path, scan):
    if form == "SEG":
        path = write_seg(tmp_path / "m.dcm", {"a": np.ones(SHAPE)}, AFFINE)
    else:
        path = rois(tmp_path, circles(AFFINE, SHAPE[2], CENTRE, 8.0))
    deflate_with_a_bomb(path)
    with at_most(4), pytest.raises(DataError, match="expected a mask that is not deflated"):
        open_mask(path, "", scan)


def test_a_deflated_slice_is_known_as_no_segmentation_by_its_first_bytes(scan):
    deflate_with_a_bomb(scan.files[0])
    with at_most(4):
        assert dicom_object.find(scan.files[0]) is None


def deflate_with_a_bomb(path) -> None:
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.EncapsulatedDocument = bytes(2**27)
    pydicom.dcmwrite(path, ds)


@pytest.mark.parametrize("form", ["m.nii", "m.nii.gz", "m.seg.nrrd"])
@pytest.mark.parametrize("segment", ["", "2"])
def test_a_mask_as_large_as_a_scan_is_read_in_parts(form, segment, tmp_path):
    labels = np.zeros(LARGE, np.uint8)
    labels[40:60, 50:80, 30:300] = 2
    path = tmp_path / form
    if form == "m.seg.nrrd":
        write_seg_nrrd(path, labels, AFFINE, [("a", 2, 0)])
    else:
        save(Nifti1Image(labels, AFFINE), path)
    with at_most(90):
        mask = open_mask(path, segment)
    assert mask.inside.shape == (20, 30, 270) and mask.inside.all()
    assert np.allclose(mask.affine[:3, 3], (AFFINE @ [40, 50, 30, 1])[:3], atol=1e-3)


def test_labels_are_listed_from_all_parts_of_a_large_mask(tmp_path):
    labels = np.zeros(LARGE, np.uint8)
    labels[1, 1, [3, 200, 330]] = 7, 5, 9
    save(Nifti1Image(labels, AFFINE), tmp_path / "m.nii")
    with pytest.raises(DataError, match="the mask's labels are 5, 7, 9"):
        open_mask(tmp_path / "m.nii", "4")
