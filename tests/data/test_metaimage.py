"""MetaImage headers: names of fields, byte order, geometry, and what is refused."""

import numpy as np
import pytest

from capsmed.data.readers import metaimage, open_volume
from capsmed.errors import CheckFailed, DataError
from tests.data.scan_writers import write_metaimage

HU = np.arange(-50, 160, dtype=np.int16).reshape(7, 6, 5)
AFFINE = np.array([[0, -0.5, 0, 5], [-0.75, 0, 0, 6], [0, 0, 2.5, -7], [0, 0, 0, 1]])
BOX = (slice(2, 4), slice(1, 5), slice(1, 3))


@pytest.mark.parametrize("name", ["Offset", "Position", "Origin"])
@pytest.mark.parametrize("matrix", ["TransformMatrix", "Rotation", "Orientation"])
def test_metaimage_fields_have_several_names(tmp_path, name, matrix):
    path = write_metaimage(tmp_path / "a.mhd", HU, AFFINE)
    text = path.read_text().replace("Offset", name).replace("TransformMatrix", matrix)
    path.write_text(text.replace("CenterOfRotation = 0 0 0", "CenterOfRotation = 9 9 9"))
    assert np.allclose(open_volume(path).affine, AFFINE)


@pytest.mark.parametrize("key", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
def test_metaimage_voxels_may_be_big_endian(tmp_path, key):
    path = write_metaimage(tmp_path / "a.mhd", HU, AFFINE, BinaryDataByteOrderMSB="True")
    path.write_text(path.read_text().replace("BinaryDataByteOrderMSB", key))
    assert np.array_equal(open_volume(path).read(BOX), HU[BOX])


def test_element_size_serves_where_there_is_no_spacing(tmp_path):
    path = write_metaimage(tmp_path / "a.mhd", HU, AFFINE, ElementSize="4 4 4")
    assert np.allclose(open_volume(path).affine, AFFINE)
    path = write_metaimage(
        tmp_path / "a.mhd", HU, np.eye(4), ElementSpacing=None, ElementSize="2 3 4"
    )
    assert open_volume(path).spacing.tolist() == [2, 3, 4]


def test_without_a_matrix_the_axes_are_lps(tmp_path):
    path = write_metaimage(tmp_path / "a.mha", HU, AFFINE, TransformMatrix=None)
    assert np.array_equal(np.diag(open_volume(path).affine), [-0.75, -0.5, 2.5, 1])


@pytest.mark.parametrize(("missing", "has_mm"), [("Offset", True), ("ElementSpacing", False)])
def test_a_metaimage_without_place_or_spacing_has_no_geometry(tmp_path, missing, has_mm):
    path = write_metaimage(tmp_path / "a.mha", HU, AFFINE, **{missing: None})
    with pytest.raises(CheckFailed, match=f"expected {missing}, got none"):
        open_volume(path)
    assert metaimage.open_volume(path).has_mm == has_mm


def test_header_size_is_skipped_and_minus_one_takes_the_last_bytes(tmp_path):
    path = write_metaimage(tmp_path / "a.mhd", HU, AFFINE, HeaderSize=7)
    raw = tmp_path / "scan.raw"
    raw.write_bytes(b"rubbish" + raw.read_bytes())
    assert np.array_equal(open_volume(path).read(None), HU)
    path.write_text(path.read_text().replace("HeaderSize = 7", "HeaderSize = -1"))
    assert np.array_equal(open_volume(path).read(None), HU)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ElementNumberOfChannels": 3}, "expected ElementNumberOfChannels = 1, got '3'"),
        ({"NDims": 4}, "expected NDims = 3, got '4'; rewrite it as one 3D image"),
        ({"BinaryData": "False"}, "expected BinaryData = True, got 'False'"),
        ({"ObjectType": "Tube"}, "expected ObjectType = Image, got 'Tube'"),
        ({"ElementToIntensityFunctionSlope": 2}, "expected ElementToIntensityFunctionSlope = 1"),
        ({"ElementType": "MET_STRING"}, "expected an ElementType MET_CHAR, .*, got 'MET_STRING'"),
        ({"DimSize": "7 6"}, "expected 3 numbers in DimSize, got '7 6'"),
        ({"DimSize": "7 6 4.5"}, "expected three whole numbers in DimSize"),
        ({"DimSize": "7 6 -5"}, r"expected voxels along each axis, got \[7, 6, -5\]"),
        ({"DimSize": "7 6 inf"}, "expected three whole numbers in DimSize"),
        ({"DimSize": None}, "expected three whole numbers in DimSize"),
        ({"Offset": "1 2 nan"}, "geometry holds NaN or infinite numbers"),
        ({"Offset": "1 2 x"}, "expected 3 numbers in Offset, got '1 2 x'"),
        ({"Origin": "1 2 3"}, "expected one value for Offset or Position or Origin, got 2"),
        ({"ElementSpacing": "1 0 1"}, "expected steps of 0.001 to 1000 mm"),
        ({"TransformMatrix": "2 0 0 0 1 0 0 0 1"}, "expected unit vectors in TransformMatrix"),
        ({"HeaderSize": "-3"}, "expected a HeaderSize in bytes, got '-3'"),
    ],
)
def test_a_metaimage_header_that_makes_no_sense_is_refused(tmp_path, fields, message):
    with pytest.raises(DataError, match=message):
        open_volume(write_metaimage(tmp_path / "a.mha", HU, AFFINE, **fields))


@pytest.mark.parametrize("text", [b"", b"\0" * 300, b"NDims = 3\n", b"NDims = 3\nNDims = 3\n"])
def test_rubbish_named_metaimage_is_refused(tmp_path, text):
    (tmp_path / "a.mha").write_bytes(text)
    with pytest.raises(DataError, match="cannot be read as MetaImage|expected 'NDims' once"):
        open_volume(tmp_path / "a.mha")
