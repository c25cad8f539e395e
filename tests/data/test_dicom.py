import pickle

import numpy as np
import pytest

from capsmed.data.readers import open_volume
from capsmed.errors import DataError


def test_slices_are_ordered_by_position_whatever_their_names(series, slice_of):
    volume = open_volume(series([slice_of(z) for z in (6, 0, 4, 2)]))
    assert volume.read(None)[0, 0].tolist() == [-1024, -824, -624, -424]
    assert volume.meta["format"] == "dicom" and volume.meta["patient_id"] == "007"


def test_lps_is_turned_into_ras_and_spacing_is_by_row_and_column(series, slice_of):
    volume = open_volume(series([slice_of(z) for z in (0, 2, 4)]))
    assert volume.shape == (5, 4, 3)
    assert (volume.affine @ [0, 0, 0, 1]).tolist() == [10, 20, 0, 1]
    assert (volume.affine @ [1, 1, 1, 1]).tolist() == [9.25, 19.5, 2, 1]


def test_x_is_the_column_and_y_the_row(series, slice_of):
    volume = open_volume(series([slice_of(0), slice_of(2)]))
    assert volume.read((slice(3, 4), slice(1, 2), slice(0, 1))).item() == -1024 + 1 * 5 + 3


def test_each_slice_has_its_own_rescale(series, slice_of):
    slices = [slice_of(0), slice_of(1, intercept=-500, slope=2.0)]
    assert open_volume(series(slices)).read(None)[0, 0].tolist() == [-1024, -300]


def test_slices_stacked_downwards_give_the_same_volume(series, slice_of):
    slices = [slice_of(z) for z in (0, 2, 4)]
    for ds in slices:
        ds.ImageOrientationPatient = [1, 0, 0, 0, -1, 0]  # the normal now points down
    volume = open_volume(series(slices))
    assert np.allclose(volume.affine @ [0, 0, 0, 1], [10, 20, 4, 1])
    assert np.allclose(volume.affine[:3, 2], [0, 0, -2])
    assert volume.read(None)[0, 0].tolist() == [-624, -824, -1024]


def test_a_tilted_gantry_is_kept_as_a_shear(series, slice_of):
    slices = [slice_of(z) for z in (0, 2, 4)]
    for number, ds in enumerate(slices):
        ds.ImagePositionPatient = [-10, -20 + 0.5 * number, 2.0 * number]
    assert np.allclose(open_volume(series(slices)).affine[:3, 2], [0, -0.5, 2])


def test_other_files_in_the_folder_are_passed_over(series, slice_of):
    folder = series([slice_of(0), slice_of(2)])
    (folder / "LICENSE.txt").write_text("free")
    assert open_volume(folder).shape == (5, 4, 2)


def test_a_folder_without_dicom_is_refused(series):
    with pytest.raises(DataError, match="series: expected a folder of DICOM slices, found none in"):
        open_volume(series([]))


def test_slices_know_their_places_and_files(series, slice_of):
    slices = [slice_of(z) for z in (2, 0)]
    slices[0].InstanceNumber = 7
    volume = open_volume(series(slices))
    assert [path.name for path in volume.files] == ["1.dcm", "0.dcm"]
    assert [place.instance_number for place in volume.slices] == [None, 7]
    assert [place.origin for place in volume.slices] == [(10, 20, 0), (10, 20, 2)]
    assert volume.slices[1].sop_uid == slices[0].SOPInstanceUID


def test_one_slice_may_be_named_by_its_file_whatever_its_suffix(series, slice_of):
    folder = series([slice_of(0), slice_of(2)])
    (folder / "1.dcm").rename(folder / "IM1")
    volume = open_volume(folder / "IM1")
    assert volume.shape == (5, 4, 1) and volume.affine[:3, 2].tolist() == [0, 0, 2]
    assert [finding.check for finding in volume.findings] == ["single_slice"]


def test_a_series_uid_is_only_for_dicom(nifti):
    with pytest.raises(DataError, match="expected DICOM, of which a series_uid can be named"):
        open_volume(nifti(), series="1.2.3")


def test_a_volume_can_be_sent_to_another_process(series, slice_of):
    volume = open_volume(series([slice_of(0), slice_of(2)]))
    assert np.array_equal(pickle.loads(pickle.dumps(volume)).read(None), volume.read(None))


def test_the_mass_of_the_real_series_is_where_it_was_found_by_eye(real_data):
    volume = open_volume(real_data / "ct_chest_dicom")
    index = np.linalg.solve(volume.affine, [65.86, 98.94, 184.0, 1.0])[:3]
    x, y, z = np.round(index).astype(int)
    assert (x, y, z) == (166, 302, 13)
    inside = volume.read((slice(x - 4, x + 5), slice(y - 4, y + 5), slice(z, z + 1)))
    assert 0 < inside.mean() < 80  # soft tissue; lung would be about -850 HU
