"""NIfTI headers: which form places the voxels, and what is refused."""

import nibabel as nib
import numpy as np
import pytest

from capsmed import config
from capsmed.data.readers import nifti, open_volume
from capsmed.errors import CheckFailed, DataError
from tests.data.scan_writers import write_nifti

HU = np.arange(-50, 160, dtype=np.int16).reshape(7, 6, 5)
AFFINE = np.array([[0, -0.5, 0, 5], [-0.75, 0, 0, 6], [0, 0, 2.5, -7], [0, 0, 0, 1]])


def codes(tmp_path, **forms):
    return write_nifti(tmp_path / "a.nii", HU, np.eye(4), **forms)


def test_nifti_without_forms_is_refused_or_its_axes_are_taken_as_ras(tmp_path):
    path = codes(tmp_path, sform=(None, 0))
    with pytest.raises(CheckFailed, match="neither an sform nor a qform.*missing_geometry: warn"):
        open_volume(path)
    volume = open_volume(path, config.Checks(missing_geometry="warn"))
    assert np.array_equal(volume.affine, np.eye(4)) and volume.has_mm


def test_the_qform_serves_where_there_is_no_sform(tmp_path):
    volume = open_volume(codes(tmp_path, qform=(AFFINE, 1)))
    assert np.allclose(volume.affine, AFFINE, atol=1e-5) and volume.findings == ()


def test_forms_that_agree_to_half_a_step_are_no_finding(tmp_path):
    near = AFFINE.copy()
    near[0, 3] += 0.24
    assert open_volume(codes(tmp_path, sform=(AFFINE, 1), qform=(near, 1))).findings == ()


def test_forms_that_differ_are_refused_or_the_sform_is_taken(tmp_path):
    far = AFFINE.copy()
    far[0, 3] += 0.26
    path = codes(tmp_path, sform=(AFFINE, 1), qform=(far, 1))
    with pytest.raises(CheckFailed, match="sform and qform place a corner 0.26 mm apart"):
        open_volume(path)
    assert np.allclose(open_volume(path, config.Checks(form_conflict="warn")).affine, AFFINE)


def test_a_turn_that_a_qform_is_too_coarse_to_hold_is_no_conflict(tmp_path):
    turn = np.diag([-0.7, -0.7, 1.0, 1.0])  # half a turn and a thousandth: the qform loses it
    turn[:2, :2] = turn[:2, :2] @ [[1, -1e-3], [1e-3, 1]]
    path = write_nifti(
        tmp_path / "a.nii",
        np.zeros((600, 600, 2), np.int16),
        turn,
        sform=(turn, 1),
        qform=(turn, 1),
    )
    lost = nib.load(path).header.get_qform()
    assert np.linalg.norm((turn - lost) @ [599, 599, 1, 0]) > 0.35
    assert open_volume(path).findings == ()


def test_a_qform_that_is_no_rotation_conflicts_with_the_sform(tmp_path):
    image = nib.load(codes(tmp_path, sform=(AFFINE, 1), qform=(AFFINE, 1)))
    image.header["quatern_b"] = 3
    nib.save(nib.Nifti1Image(HU, None, image.header), tmp_path / "b.nii")
    assert [finding.check for finding in nifti.open_volume(tmp_path / "b.nii").findings] == [
        "form_conflict"
    ]


def rewritten(path, **header):
    """Change fields of the header of a .nii that nibabel wrote."""
    head = nib.load(path).header.copy()
    for name, value in {"vox_offset": 352, **header}.items():
        head[name] = value
    path.write_bytes(head.binaryblock + path.read_bytes()[348:])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"srow_x": [np.nan] * 4}, "geometry holds NaN or infinite numbers"),
        ({"srow_x": [0.0] * 4}, r"expected steps of 0.001 to 1000 mm|cannot be inverted"),
        ({"srow_z": [0, 0.5, 0, 0]}, "expected steps of 0.001 to 1000 mm"),
        ({"xyzt_units": 3}, "expected millimetres, got 'micron'"),
        ({"xyzt_units": 6}, "cannot be read as NIfTI"),
        ({"vox_offset": 0}, "expected its voxels behind the header, at byte 352, got byte 0"),
        ({"datatype": 128, "bitpix": 24}, "expected real numbers"),
        ({"datatype": 9999}, "cannot be read as NIfTI"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 3}, "geometry holds NaN|cannot be read"),
        ({"scl_slope": 1, "scl_inter": np.inf}, "cannot be read as NIfTI"),
        ({"dim": [3, 7, -6, 5, 1, 1, 1, 1]}, "expected voxels along each axis|cannot be read"),
    ],
)
def test_a_nifti_header_that_makes_no_sense_is_refused(tmp_path, header, message):
    path = write_nifti(tmp_path / "a.nii", HU, AFFINE)
    rewritten(path, **header)
    with pytest.raises(DataError, match=message):
        open_volume(path)


def test_nifti_slope_and_intercept_are_applied_and_slope_zero_means_none(tmp_path):
    path = write_nifti(tmp_path / "a.nii", HU, AFFINE)
    rewritten(path, scl_slope=2, scl_inter=-1024)
    assert np.array_equal(open_volume(path).read(None), 2.0 * HU - 1024)
    rewritten(path, scl_slope=0, scl_inter=-1024)
    assert np.array_equal(open_volume(path).read(None), HU)
