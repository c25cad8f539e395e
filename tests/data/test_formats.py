"""What holds for NIfTI, NRRD and MetaImage alike: places, boxes, honest sizes, whole files."""

import gzip
import tracemalloc
import warnings
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from capsmed.data.readers import open_volume
from capsmed.data.readers.stored import Block
from capsmed.errors import DataError
from tests.data.scan_writers import LPS, WRITERS, write_metaimage, write_nifti, write_nrrd

HU = np.arange(-50, 160, dtype=np.int16).reshape(7, 6, 5)
AFFINE = np.array([[0, -0.5, 0, 5], [-0.75, 0, 0, 6], [0, 0, 2.5, -7], [0, 0, 0, 1]])
BOX = (slice(2, 4), slice(1, 5), slice(1, 3))
FILES = [name for name in WRITERS if name != "dicom"]


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_voxels_the_box_and_the_affine_in_ras(tmp_path, name):
    volume = open_volume(WRITERS[name](tmp_path / name, HU, AFFINE))
    assert volume.shape == HU.shape and np.allclose(volume.affine, AFFINE, atol=1e-12)
    assert np.array_equal(volume.read(None), HU)
    assert np.array_equal(volume.read(BOX), HU[BOX]) and volume.read(BOX).dtype == np.float32
    assert volume.has_mm and volume.value_range is None and volume.findings == ()


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("scan.mhd", ["scan.mhd", "scan.raw"]),
        ("scan.mha", ["scan.mha"]),
        ("scan.nii", ["scan.nii"]),
    ],
)
def test_a_volume_names_all_files_that_its_voxels_come_from(tmp_path, name, files):
    volume = open_volume(WRITERS[name](tmp_path / name, HU, AFFINE))
    assert [path.name for path in volume.files] == files


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nrrd", "scan.mhd", "scan.mha"])
def test_simpleitk_places_and_reads_the_same_file_alike(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its wrapper, when it is imported
        sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(WRITERS[name](tmp_path / name, HU, AFFINE)))
    itk = np.eye(4)
    itk[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    itk[:3, 3] = image.GetOrigin()
    assert np.allclose(LPS @ itk, open_volume(tmp_path / name).affine, atol=1e-6)
    assert np.array_equal(sitk.GetArrayFromImage(image).T, HU)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_off_is_refused_before_its_voxels_are_wanted_or_when_they_are(tmp_path, name):
    path = WRITERS[name](tmp_path / name, HU, AFFINE)
    data = path.with_name("scan.raw") if name == "scan.mhd" else path
    data.write_bytes(data.read_bytes()[:-40])
    with pytest.raises(DataError, match="cut off|cannot be read"):
        open_volume(path).read(None)


@pytest.mark.parametrize("name", FILES)
def test_a_matrix_too_large_for_its_file_is_refused_at_opening(tmp_path, name):
    path = tmp_path / name
    if "nii" in name:
        header = nib.Nifti1Header()
        header.set_data_shape((9000, 9000, 9000))
        header.set_data_dtype(np.int16)
        header.set_sform(AFFINE, 1)
        header["vox_offset"] = 352
        plain = header.binaryblock + bytes(500)
        path.write_bytes(gzip.compress(plain) if name.endswith("gz") else plain)
    else:
        sizes = {"sizes": "9000 9000 9000"} if "nrrd" in name else {"DimSize": "9000 9000 9000"}
        WRITERS[name](path, HU, AFFINE, **sizes)
    with pytest.raises(DataError, match=r"expected 1458000\d+ bytes for \[9000, 9000, 9000\]"):
        open_volume(path)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_zeros_pack_as_far_as_deflate_can_and_no_header_may_declare_more(tmp_path, name):
    path = WRITERS[name](tmp_path / name, np.zeros((200, 200, 100), np.int16), AFFINE)
    assert not open_volume(path).read((slice(0, 1),) * 3).any()
    size = path.stat().st_size
    block = Block(path, (200, 200, 100), np.dtype("i2"), "deflate")
    assert 900 * size < block.check().bytes < 1032 * size
    with pytest.raises(DataError, match=f"got {size} compressed; the file is cut off or its"):
        replace(block, shape=(200, 200, 120)).check()


def test_of_a_compressed_file_only_the_wanted_planes_are_held(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd", np.ones((200, 200, 300), np.int16), AFFINE)  # 24 MB
    tracemalloc.start()
    assert open_volume(path).read((slice(0, 200), slice(0, 200), slice(290, 292))).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


@pytest.mark.parametrize("name", ["scan.mhd", "big.nrrd"])
def test_plain_voxels_of_fewer_rows_than_the_file_holds_are_refused(tmp_path, name):
    path = tmp_path / name
    if name == "scan.mhd":
        write_metaimage(path, HU, AFFINE, DimSize="7 6 4")
    else:
        write_nrrd(path, HU, AFFINE, encoding="raw", sizes="7 6 4")
    with pytest.raises(DataError, match=r"expected 336 bytes for \[7, 6, 4\] voxels .* got 420"):
        open_volume(path)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha", "scan.nii.gz"])
def test_a_compressed_stream_that_is_damaged_is_said_to_be_so(tmp_path, name):
    path = WRITERS[name](tmp_path / name, HU, AFFINE)
    data = bytearray(path.read_bytes())
    data[-60:-20] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(DataError, match="cannot be read"):
        open_volume(path).read(None)


def test_a_box_ahead_of_the_damage_is_still_read(tmp_path):
    hu = np.random.default_rng(0).integers(-1000, 400, (32, 32, 2000)).astype(np.int16)
    path = write_nrrd(tmp_path / "a.nrrd", hu, AFFINE)
    path.write_bytes(path.read_bytes()[:-100])
    box = (slice(0, 9), slice(3, 5), slice(1, 4))
    assert np.array_equal(open_volume(path).read(box), hu[box])


def test_gzip_members_that_follow_one_another_are_one_stream(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd", HU, AFFINE, encoding="raw")
    head, data = path.read_bytes().split(b"\n\n", 1)
    parts = gzip.compress(data[:101]) + gzip.compress(data[101:])
    path.write_bytes(head.replace(b"raw", b"gzip") + b"\n\n" + parts)
    assert np.array_equal(open_volume(path).read(None), HU)


@pytest.mark.parametrize("name", ["/etc/hosts", "../a.raw", "in/a.raw", "http://x/a.raw", r"c:\a"])
@pytest.mark.parametrize("form", ["a.nhdr", "a.mhd"])
def test_a_data_file_anywhere_but_beside_its_header_is_refused(tmp_path, name, form):
    if form == "a.nhdr":
        path = write_nrrd(tmp_path / form, HU, AFFINE, data_file=name)
    else:
        path = write_metaimage(tmp_path / form, HU, AFFINE, ElementDataFile=name)
    with pytest.raises(DataError, match="expected a data file in the header's own folder, got"):
        open_volume(path)


@pytest.mark.parametrize("name", ["LIST", "slice%03d.raw 1 5 1"])
@pytest.mark.parametrize("form", ["a.nhdr", "a.mhd"])
def test_voxels_spread_over_several_files_are_refused(tmp_path, name, form):
    if form == "a.nhdr":
        path = write_nrrd(tmp_path / form, HU, AFFINE, data_file=name)
    else:
        path = write_metaimage(tmp_path / form, HU, AFFINE, ElementDataFile=name)
    with pytest.raises(DataError, match="expected one data file, got the list or pattern"):
        open_volume(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_eight_bits_without_a_rescale_are_grey_values(tmp_path, name):
    grey = (HU + 50).astype(np.uint8)
    if name == "a.nii.gz":
        write_nifti(tmp_path / name, grey, AFFINE)
    elif name == "a.nrrd":
        write_nrrd(tmp_path / name, grey, AFFINE, type="uchar", endian=None)
    else:
        write_metaimage(tmp_path / name, grey, AFFINE, ElementType="MET_UCHAR")
    volume = open_volume(tmp_path / name)
    assert volume.value_range == (0, 255) and np.array_equal(volume.read(None), grey)
