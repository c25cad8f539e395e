"""Stored words as HU: byte orders, bits, padding, boxes."""

import numpy as np
import pydicom
import pytest
from pydicom import uid

from capsmed import config
from capsmed.data.readers import open_volume
from capsmed.errors import DataError

REPEATED = {"OverlayBitPosition": (0x60000102, "US")}


@pytest.fixture
def one(tmp_path, slice_of):
    """Open one slice of 4 rows and 5 columns holding ``words``, its tags changed."""

    def make(words, syntax=uid.ExplicitVRLittleEndian, **tags):
        ds = slice_of(0)
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = np.asarray(words).tobytes()
        ds["PixelData"].VR = "OB" if ds.PixelData[:2] == b"\xfe\xff" else "OW"
        for name, value in tags.items():
            ds.add_new(*REPEATED[name], value) if name in REPEATED else setattr(ds, name, value)
        pydicom.dcmwrite(tmp_path / "one.dcm", ds, enforce_file_format=True)
        return open_volume(tmp_path / "one.dcm", config.Checks(photometric="warn"))

    return make


RAMP = np.arange(20, dtype="<u2").reshape(4, 5)


@pytest.mark.parametrize(
    ("syntax", "order"),
    [
        (uid.ImplicitVRLittleEndian, "<"),
        (uid.ExplicitVRLittleEndian, "<"),
        (uid.ExplicitVRBigEndian, ">"),
        (uid.DeflatedExplicitVRLittleEndian, "<"),
    ],
)
@pytest.mark.parametrize("kind", ["u2", "i2", "u4", "i4", "u1", "i1"])
def test_every_byte_order_and_type_gives_the_same_values(one, syntax, order, kind):
    words = (RAMP.astype(np.int16) - (10 if kind[0] == "i" else 0)).astype(order + kind)
    bits = 8 * int(kind[1])
    if order == ">" and kind[1] == "1":
        words = words.reshape(-1).view("<u2").byteswap()
    volume = one(
        words,
        syntax,
        BitsAllocated=bits,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=int(kind[0] == "i"),
    )
    expected = RAMP.T.astype(float) - (10 if kind[0] == "i" else 0) - 1024
    assert np.array_equal(volume.read(None)[:, :, 0], expected)
    box = (slice(1, 4), slice(2, 4), slice(0, 1))
    assert np.array_equal(volume.read(box)[:, :, 0], expected[1:4, 2:4])


def test_files_without_preamble_are_read(series, slice_of):
    folder = series([slice_of(0), slice_of(2)])
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[132:])
    assert open_volume(folder).read(None)[0, 0].tolist() == [-1024, -824]


@pytest.mark.parametrize(
    "stride", [slice(3, 0, -1), slice(None, None, 2), slice(2, 2), slice(-2, 9)]
)
def test_boxes_are_cut_as_numpy_cuts(one, stride):
    volume = one(RAMP)
    whole = volume.read(None)
    box = (stride, stride, slice(None))
    assert np.array_equal(volume.read(box), whole[box])


@pytest.mark.parametrize(
    ("word", "signed", "hu"),
    [
        (4095, 0, 3071),  # the largest of 12 bits
        (0xF800, 1, -3072),  # -2048, its sign repeated in the unused bits
        (0x0800, 1, -3072),  # -2048, the unused bits zero
        (0x07FF, 1, 1023),
    ],
)
def test_twelve_bits_in_sixteen_are_read_with_their_sign(one, word, signed, hu):
    words = np.full((4, 5), word, "<u2")
    volume = one(words, BitsStored=12, HighBit=11, PixelRepresentation=signed)
    assert volume.read(None)[0, 0, 0] == hu


@pytest.mark.parametrize(("word", "signed"), [(4096, 0), (0xFC18, 0), (0x1800, 1), (3000 << 4, 0)])
def test_values_beyond_bits_stored_are_noticed(one, word, signed):
    volume = one(np.full((4, 5), word, "<u2"), BitsStored=12, PixelRepresentation=signed)
    with pytest.raises(DataError, match="Bits Stored says 12, but a pixel holds .* mend it"):
        volume.read(None)


def test_overlays_in_the_unused_bits_are_dropped(one):
    words = np.full((4, 5), 0x9064, "<u2")  # 100, with overlay bits 12 and 15 above it
    volume = one(words, BitsStored=12, HighBit=11, OverlayBitPosition=15)
    assert volume.read(None)[0, 0, 0] == 100 - 1024


def test_padding_below_air_keeps_its_value(one):
    words = np.full((4, 5), -2000, "<i2")
    volume = one(words, PixelRepresentation=1, PixelPaddingValue=-2000, RescaleIntercept=0)
    assert volume.read(None)[0, 0, 0] == -2000


def test_padding_that_lost_its_sign_becomes_air(one):
    words = RAMP.copy()
    words[0, 0] = 63536  # -2000 as an unsigned word
    volume = one(words, BitsStored=12, HighBit=11, PixelPaddingValue=63536)
    assert volume.read(None)[:2, 0, 0].tolist() == [-1024, -1023]


def test_only_the_files_of_the_box_are_opened(series, slice_of):
    folder = series([slice_of(z) for z in (0, 2, 4)])
    volume = open_volume(folder)
    (folder / "0.dcm").unlink()
    assert volume.read((slice(None), slice(None), slice(1, 3)))[0, 0].tolist() == [-824, -624]


def test_all_pixels_of_the_real_series_are_those_pydicom_decodes(real_data):
    volume = open_volume(real_data / "ct_chest_dicom")
    for z in (0, 13, 29):
        truth = pydicom.dcmread(volume.files[z]).pixel_array.T.astype(np.float32) - 1024
        assert np.array_equal(
            volume.read((slice(None), slice(None), slice(z, z + 1)))[..., 0], truth
        )
