import numpy as np
import pytest
from PIL import Image

from capsmed.data import readers
from capsmed.data.readers import open_volume
from capsmed.errors import DataError


def test_nifti_keeps_its_affine_and_reads_only_the_box(nifti):
    affine = np.array([[0, -2.0, 0, 5], [-1.5, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])
    volume = open_volume(nifti(affine=affine))
    assert volume.shape == (7, 5, 3) and np.allclose(volume.affine, affine)
    box = volume.read((slice(2, 4), slice(1, 5), slice(0, 2)))
    assert np.array_equal(box, volume.read(None)[2:4, 1:5, :2]) and box.dtype == np.float32


def test_the_centre_is_the_middle_voxel_in_mm(nifti):
    volume = open_volume(nifti(affine=np.diag([2.0, 3.0, 5.0, 1.0])))
    assert volume.centre.tolist() == [6.0, 6.0, 5.0]
    assert volume.spacing.tolist() == [2.0, 3.0, 5.0]


def test_nifti_with_a_time_axis_is_refused_and_a_single_one_is_dropped(nifti):
    with pytest.raises(DataError, match=r"expected a 3D image, got shape \[4, 4, 4, 2\]"):
        open_volume(nifti(values=np.zeros((4, 4, 4, 2))))
    assert open_volume(nifti(values=np.zeros((4, 4, 4, 1)))).read(None).shape == (4, 4, 4)


def test_a_file_that_only_looks_like_nifti_is_refused(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"rubbish" * 100)
    with pytest.raises(DataError, match=r"a.nii: cannot be read as NIfTI"):
        open_volume(tmp_path / "a.nii")


def test_pictures_run_x_along_columns_and_y_along_rows(tmp_path):
    pixels = np.arange(15, dtype=np.uint8).reshape(3, 5)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    volume = open_volume(tmp_path / "a.png")
    assert volume.shape == (5, 3) and volume.value_range == (0, 255) and not volume.has_mm
    assert np.array_equal(volume.read(None), pixels.T)


def test_colour_pictures_have_their_channels_last_and_lose_transparency(tmp_path):
    pixels = np.arange(60, dtype=np.uint8).reshape(3, 5, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    volume = open_volume(tmp_path / "a.png")
    assert volume.shape == (5, 3)
    assert np.array_equal(
        volume.read((slice(1, 3), slice(0, 2))), pixels[:2, 1:3, :3].swapaxes(0, 1)
    )


def test_sixteen_bit_pictures_keep_their_values(tmp_path):
    pixels = np.array([[0, 65535], [300, 4]], dtype=np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    volume = open_volume(tmp_path / "a.png")
    assert volume.value_range == (0, 65535) and volume.read(None)[1, 0] == 65535


def test_a_damaged_picture_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff rubbish")
    with pytest.raises(DataError, match="a.jpg: cannot be read as a picture"):
        open_volume(tmp_path / "a.jpg")


def test_arrays_of_three_axes_are_x_y_z_and_of_two_are_pictures(tmp_path):
    values = np.arange(24.0).reshape(2, 3, 4)
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "b.npy", values[0])
    assert np.array_equal(open_volume(tmp_path / "a.npy").read(None), values)
    assert np.array_equal(open_volume(tmp_path / "b.npy").read(None), values[0].T)


def test_arrays_name_their_file_and_what_their_pixels_can_hold_in_either_byte_order(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(24, dtype=">u2").reshape(2, 3, 4))
    volume = open_volume(tmp_path / "a.npy")
    assert volume.files == (tmp_path / "a.npy",) and volume.value_range == (0, 65535)
    assert volume.read((slice(1, 2), slice(0, 1), slice(2, 4))).ravel().tolist() == [14, 15]


def test_an_array_larger_than_its_file_is_refused_without_being_allocated(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (90000, 90000, 90000)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(64))
    with pytest.raises(DataError, match="a.npy: cannot be read as a NumPy array"):
        open_volume(tmp_path / "a.npy")


def test_an_archive_named_npy_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(DataError, match="a.npy: cannot be read as a NumPy array"):
        open_volume(tmp_path / "a.npy")


def test_arrays_of_objects_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="a.npy: cannot be read as a NumPy array"):
        open_volume(tmp_path / "a.npy")


def test_an_unknown_suffix_is_refused(tmp_path):
    (tmp_path / "a.tiff").write_text("no DICOM either")
    known = ".nii, .nii.gz, .nrrd, .nhdr, .mhd, .mha, .png, .jpg, .jpeg, .npy"
    with pytest.raises(DataError, match=f"expected {known}.* got '.tiff'"):
        open_volume(tmp_path / "a.tiff")


def test_a_reader_can_be_added_but_not_replace_another(monkeypatch):
    monkeypatch.setattr(readers, "READERS", dict(readers.READERS))
    reader = readers.READERS[".npy"]
    readers.register(".mine", reader)
    readers.register(".mine", reader)
    with pytest.raises(ValueError, match="the suffix '.nii' is already taken"):
        readers.register(".nii", reader)
