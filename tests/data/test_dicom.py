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


def _without(ds, name):
    delattr(ds, name)
    return ds


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: [], "expected a folder of DICOM slices, found none"),
        (lambda s: [s(0), s(2, series="9")], "expected one DICOM series, got 2"),
        (lambda s: [s(0), s(2), s(2)], "two slices lie at one position"),
        (lambda s: [s(0), s(2), s(6)], r"equally spaced slices, got gaps of 2.00 to 4.00 mm"),
        (lambda s: [s(0), _without(s(2), "RescaleSlope")], "DICOM tags RescaleSlope, got none"),
        (lambda s: [_without(s(0), "PixelSpacing")], "DICOM tags PixelSpacing, got none"),
    ],
)
def test_a_series_that_cannot_be_trusted_is_refused(series, slice_of, make, message):
    with pytest.raises(DataError, match=message):
        open_volume(series(make(slice_of)))


def test_slices_of_several_directions_are_refused(series, slice_of):
    tilted = slice_of(2)
    tilted.ImageOrientationPatient = [0, 1, 0, -1, 0, 0]
    with pytest.raises(DataError, match="expected one ImageOrientationPatient throughout"):
        open_volume(series([slice_of(0), tilted]))


def test_the_mass_of_the_real_series_is_where_it_was_found_by_eye(real_data):
    volume = open_volume(real_data / "ct_chest_dicom")
    index = np.linalg.solve(volume.affine, [65.86, 98.94, 184.0, 1.0])[:3]
    x, y, z = np.round(index).astype(int)
    assert (x, y, z) == (166, 302, 13)
    inside = volume.read((slice(x - 4, x + 5), slice(y - 4, y + 5), slice(z, z + 1)))
    assert 0 < inside.mean() < 80  # soft tissue; lung would be about -850 HU
