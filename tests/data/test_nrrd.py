"""NRRD headers: spaces, encodings, data files beside them, and what is refused."""

import bz2

import numpy as np
import pytest

from capsmed import config
from capsmed.data.readers import nrrd, open_volume
from capsmed.data.readers.nrrd_header import read_header
from capsmed.errors import CheckFailed, DataError
from tests.data.scan_writers import LPS, write_nrrd

HU = np.arange(-50, 160, dtype=np.int16).reshape(7, 6, 5)
AFFINE = np.array([[0, -0.5, 0, 5], [-0.75, 0, 0, 6], [0, 0, 2.5, -7], [0, 0, 0, 1]])
BOX = (slice(2, 4), slice(1, 5), slice(1, 3))


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("right-anterior-superior", [1, 1, 1]),
        ("RAS", [1, 1, 1]),
        ("left-anterior-superior", [-1, 1, 1]),
        ("LPS", [-1, -1, 1]),
    ],
)
def test_the_space_of_an_nrrd_says_how_its_axes_turn_to_ras(tmp_path, space, signs):
    lps = LPS @ AFFINE
    path = write_nrrd(tmp_path / "a.nrrd", HU, AFFINE, space=space)
    assert np.allclose(open_volume(path).affine, np.diag([*signs, 1.0]) @ lps)


@pytest.mark.parametrize(
    ("fields", "spacing"),
    [
        ({"space": None}, [0.75, 0.5, 2.5]),
        ({"space": "scanner-xyz"}, [0.75, 0.5, 2.5]),
        ({"space origin": None}, [0.75, 0.5, 2.5]),
        ({"space directions": None, "space": None, "spacings": "2 3 -4"}, [2, 3, 4]),
    ],
)
def test_an_nrrd_outside_a_patient_space_keeps_its_spacing_only(tmp_path, fields, spacing):
    volume = nrrd.open_volume(write_nrrd(tmp_path / "a.nrrd", HU, AFFINE, **fields))
    assert np.allclose(volume.affine, np.diag([*spacing, 1]))
    assert [finding.check for finding in volume.findings] == ["missing_geometry"]


def test_an_nrrd_without_any_spacing_knows_no_millimetres(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd", HU, AFFINE, space=None, space_directions=None)
    with pytest.raises(CheckFailed, match="expected a patient space .* space directions, got none"):
        open_volume(path)
    assert not open_volume(path, config.Checks(missing_geometry="warn")).has_mm


@pytest.mark.parametrize(("encoding", "pack"), [("raw", bytes), ("bz2", bz2.compress)])
@pytest.mark.parametrize("endian", ["little", "big"])
def test_nrrd_voxels_may_lie_in_a_file_beside_the_header(tmp_path, encoding, pack, endian):
    data = HU.astype(">i2" if endian == "big" else "<i2").tobytes(order="F")
    (tmp_path / "흉부 1.raw").write_bytes(pack(b"two\nlines\nskip" + data))
    fields = {"endian": endian, "encoding": encoding, "data file": "./흉부 1.raw"}
    skips = {"line skip": 2, "byte skip": 4} if encoding == "raw" else {"byte skip": 14}
    path = write_nrrd(tmp_path / "a.nhdr", HU, AFFINE, **fields, **skips)
    volume = open_volume(path)
    assert np.array_equal(volume.read(BOX), HU[BOX])
    assert [file.name for file in volume.files] == ["a.nhdr", "흉부 1.raw"]


def test_byte_skip_minus_one_takes_the_last_bytes(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd", HU, AFFINE, encoding="raw", byte_skip=-1)
    path.write_bytes(path.read_bytes().replace(b"\n\n", b"\n\nrubbish", 1))
    assert np.array_equal(open_volume(path).read(None), HU)


def test_a_header_without_its_data_file_is_refused(tmp_path):
    path = write_nrrd(tmp_path / "a.nhdr", HU, AFFINE, data_file="lost.raw")
    with pytest.raises(DataError, match="lost.raw: not found, but a header beside it names it"):
        open_volume(path)


COLOUR = {"dimension": 4, "sizes": "3 7 6 5", "kinds": "list domain domain domain"}


def test_several_values_a_voxel_are_refused_but_open_as_layers(tmp_path):
    directions = "none (-2,0,0) (0,-2,0) (0,0,2)"
    layers = np.stack([HU, HU + 1, HU + 2])
    path = write_nrrd(tmp_path / "a.nrrd", layers, AFFINE, **COLOUR, space_directions=directions)
    with pytest.raises(DataError, match="expected a 3D image of one value a voxel, got 3"):
        open_volume(path)
    found = nrrd.open_layers(read_header(path))
    assert len(found) == 3 and np.array_equal(found[2].read(BOX), HU[BOX] + 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"encoding": "hex"}, "expected the encoding raw, gzip, gz, bzip2, bz2, got 'hex'"),
        ({"type": "block"}, "expected real numbers, got 'block'"),
        ({"type": None}, "expected the field 'type' in its header, got none"),
        ({"endian": None}, "expected the field 'endian' in its header, got none"),
        ({"sizes": "7 6 x"}, "expected whole numbers in the field 'sizes', got '7 6 x'"),
        ({"sizes": "7 6 0"}, r"expected voxels along each axis, got \[7, 6, 0\]"),
        ({"dimension": 4}, r"expected 4 sizes, its dimension, got \[7, 6, 5\]"),
        ({"space origin": "(1,2)"}, "expected directions and an origin of three numbers"),
        ({"space origin": "(1,2,x)"}, r"expected vectors \(a,b,c\) in the field 'spaceorigin'"),
        ({"space origin": "(1,2,inf)"}, "geometry holds NaN or infinite numbers"),
        ({"space directions": "none (1,0,0) (0,1,0)"}, "expected three axes in space"),
        ({"space directions": "(1,0,0) (1,0,0) (0,0,1)"}, "affine cannot be inverted"),
        ({"space units": '"m" "m" "m"'}, r"expected millimetres, got \['m', 'm', 'm'\]"),
        ({"byte skip": -2}, "expected to skip 0 or more bytes and lines, got less"),
        ({"Type": "short"}, "expected 'Type' once in its header, got it twice"),
    ],
)
def test_an_nrrd_header_that_makes_no_sense_is_refused(tmp_path, fields, message):
    with pytest.raises(DataError, match=message):
        open_volume(write_nrrd(tmp_path / "a.nrrd", HU, AFFINE, **fields))


@pytest.mark.parametrize("text", [b"", b"NRRD0004", b"PK\x03\x04", b"NRRD0004\nno colon\n\n"])
def test_rubbish_named_nrrd_is_refused(tmp_path, text):
    (tmp_path / "a.nrrd").write_bytes(text)
    with pytest.raises(DataError, match="cannot be read as NRRD|expected the field 'type'"):
        open_volume(tmp_path / "a.nrrd")
