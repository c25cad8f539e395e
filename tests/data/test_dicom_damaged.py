"""Damaged DICOM files: each gets a clear answer, before anything large is allocated."""

import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from capsmed.data.dicom import codestream
from capsmed.data.readers import open_volume
from capsmed.errors import DataError


@pytest.fixture
def hurt(series, slice_of):
    """A folder of three slices, the middle one's bytes changed."""

    def make(change):
        folder = series([slice_of(z) for z in (0, 2, 4)])
        path = folder / "1.dcm"
        path.write_bytes(change(path.read_bytes()))
        return folder

    return make


def tagged(tag: bytes, value: bytes):
    """Overwrite the two bytes of an explicit little endian element of VR US."""

    def change(whole: bytes) -> bytes:
        at = whole.index(tag + b"US\x02\x00") + 8
        return whole[:at] + value + whole[at + 2 :]

    return change


ROWS, COLUMNS, BITS, STORED = (
    b"\x28\x00\x10\x00",
    b"\x28\x00\x11\x00",
    b"\x28\x00\x00\x01",
    b"\x28\x00\x01\x01",
)
HURT = {
    "empty": (lambda whole: b"", "the file is empty"),
    "half a header": (lambda whole: whole[: len(whole) // 3], "its header is cut off"),
    "no pixels": (lambda whole: whole[: whole.index(b"\xe0\x7f\x10\x00")], "it has no pixel data"),
    "half the pixels": (
        lambda whole: whole[:-20],
        "need 40 bytes of pixel data, got 20: it is cut",
    ),
    "more rows than pixels": (tagged(ROWS, b"\x05\x00"), "5 rows x 5 columns x 1 frames need 50"),
    "huge": (tagged(ROWS, b"\xff\xff"), "65535 rows x 5 columns x 1 frames need 655350 bytes"),
    "no rows": (tagged(ROWS, b"\0\0"), "expected Rows, Columns and frames above 0, got 0 rows"),
    "12 bits packed": (tagged(BITS, b"\x0c\x00"), "pixels of 8, 16 or 32 bits, got 16 of 12 bits"),
    "17 of 16 bits": (tagged(STORED, b"\x11\x00"), "of 8, 16 or 32 bits, got 17 of 16 bits"),
    "text": (lambda whole: b"not a slice at all" * 20, "it is no DICOM file, whatever its name"),
    "floats": (
        lambda whole: whole.replace(b"\xe0\x7f\x10\x00OW", b"\xe0\x7f\x08\x00OF"),
        "expected whole-number pixels, got floating-point ones",
    ),
}


@pytest.mark.parametrize("how", HURT)
def test_a_damaged_slice_is_named_before_a_voxel_is_read(hurt, how):
    change, message = HURT[how]
    with pytest.raises(DataError, match=rf"series/1\.dcm: .*{message}"):
        open_volume(hurt(change))


@pytest.mark.parametrize("how", HURT)
def test_a_damaged_file_that_is_named_itself_is_refused_alike(hurt, how):
    change, message = HURT[how]
    with pytest.raises(DataError, match=rf"series/1\.dcm: .*{message}"):
        open_volume(hurt(change) / "1.dcm")


def test_a_zip_named_dcm_is_told_apart(series, slice_of):
    folder = series([slice_of(0), slice_of(2)])
    with zipfile.ZipFile(folder / "all.dcm", "w") as archive:
        archive.write(folder / "0.dcm", "../0.dcm")
    with pytest.raises(
        DataError, match="all.dcm: it is a zip archive, not a DICOM file; unpack it"
    ):
        open_volume(folder)


def test_a_link_to_nothing_is_named(series, slice_of):
    folder = series([slice_of(0), slice_of(2)])
    (folder / "2.dcm").symlink_to("annex/gone")
    with pytest.raises(DataError, match="2.dcm: it is a link to a file that is not there"):
        open_volume(folder)


def test_a_report_named_as_an_image_is_refused(series, slice_of):
    report = slice_of(0)
    report.Modality = "SR"
    with pytest.raises(DataError, match="0.dcm: expected a DICOM image, got none"):
        open_volume(series([report]) / "0.dcm")


def compressed(slice_of, syntax, data, **tags):
    ds = slice_of(0)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(data)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    for name, value in tags.items():
        setattr(ds, name, value)
    return ds


def jpeg(rows: int, columns: int) -> bytes:
    frame = struct.pack(">HHBHHB", 0xFFC3, 11, 16, rows, columns, 1) + b"\x01\x11\x00"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00"
    return b"\xff\xd8\xff\xfe\x00\x04hi" + frame + scan + b"\xff\xd9"


def jpeg_2000(rows: int, columns: int) -> bytes:
    size = struct.pack(">HHH8LH", 0xFF51, 41, 0, columns, rows, 0, 0, columns, rows, 0, 0, 1)
    return b"\xff\x4f" + size + b"\x0f\x01\x01" + b"\xff\xd9"


@pytest.mark.parametrize("stream", [jpeg, jpeg_2000])
def test_a_stream_cut_anywhere_says_its_size_or_nothing(stream):
    sizes = [codestream.declared(stream(3, 7)[:length]) for length in range(len(stream(3, 7)) + 1)]
    assert {(one.rows, one.columns, one.samples) for one in sizes if one} == {(3, 7, 1)}


@pytest.mark.parametrize(
    ("syntax", "stream"), [(uid.JPEGLosslessSV1, jpeg), (uid.JPEG2000Lossless, jpeg_2000)]
)
def test_a_stream_of_another_size_is_refused_before_decoding(series, slice_of, syntax, stream):
    volume = open_volume(series([compressed(slice_of, syntax, [stream(60000, 60000)])]))
    with pytest.raises(DataError, match="expected 4 rows and 5 columns, got 60000 and 60000"):
        volume.read(None)


def test_a_huge_compressed_matrix_in_a_small_file_is_refused(series, slice_of):
    ds = compressed(slice_of, uid.JPEG2000Lossless, [jpeg_2000(65535, 65535)], Rows=65535)
    ds.Columns = 65535
    with pytest.raises(DataError, match="65535 columns x 1 frames cannot come from 48 compressed"):
        open_volume(series([ds]))


def test_more_frames_than_compressed_pieces_are_refused(series, slice_of):
    ds = compressed(slice_of, uid.RLELossless, [b"\0" * 64], NumberOfFrames=50000)
    with pytest.raises(DataError, match="expected 50000 compressed frames, got 1"):
        open_volume(series([ds]))


def test_compressed_pixels_cut_off_are_refused(series, slice_of):
    folder = series([compressed(slice_of, uid.RLELossless, [b"\0" * 64])])
    path = folder / "0.dcm"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="0.dcm: its compressed pixels are cut off"):
        open_volume(folder)


def test_a_broken_stream_is_one_line(series, slice_of):
    volume = open_volume(series([compressed(slice_of, uid.JPEG2000Lossless, [jpeg_2000(4, 5)])]))
    with pytest.raises(DataError, match="0.dcm: its compressed pixels cannot be decoded") as failed:
        volume.read(None)
    assert "\n" not in str(failed.value)


def test_an_unknown_transfer_syntax_is_named(series, slice_of):
    volume = open_volume(
        series([compressed(slice_of, uid.UID("1.2.840.10008.1.2.4.100"), [b"ab"])])
    )
    with pytest.raises(
        DataError, match=r"transfer syntax 1\.2\.840\.10008\.1\.2\.4\.100 is not sup"
    ):
        volume.read(None)


def test_a_deflated_bomb_is_unpacked_no_further_than_it_declares(series, slice_of):
    ds = slice_of(0)
    ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    ds.PixelData = bytes(200_000_000)
    folder = series([ds])
    del ds
    tracemalloc.start()
    assert np.ptp(open_volume(folder).read(None)) == 0
    assert tracemalloc.get_traced_memory()[1] < 80_000_000
    tracemalloc.stop()


def test_a_huge_length_in_a_header_allocates_nothing(series, slice_of):
    folder = series([slice_of(0)])
    whole = (folder / "0.dcm").read_bytes()
    at = whole.index(b"\x10\x00\x20\x00LO")
    huge = whole[:at] + b"\x08\x00\x05\x00UT\0\0\xf0\xff\xff\x7f" + whole[at:]
    (folder / "0.dcm").write_bytes(huge)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"its header is broken"):
        open_volume(folder)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["DICOMDIR", "README.txt"])
def test_what_is_no_image_is_answered_by_name(kind, tmp_path):
    path = tmp_path / "folder.dcm"
    path.write_bytes(Path(pydicom.data.get_testdata_file(kind, download=False)).read_bytes())
    with pytest.raises(DataError, match="folder.dcm: (expected a DICOM image|it is no DICOM file)"):
        open_volume(path)
