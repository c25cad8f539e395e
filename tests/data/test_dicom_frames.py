"""Enhanced multi-frame CT: many planes in one file."""

import tracemalloc

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate_extended, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    RLELossless,
)

from capsmed import config
from capsmed.data.readers import open_volume
from capsmed.errors import CheckFailed, DataError


def item(**tags) -> list[Dataset]:
    one = Dataset()
    for name, value in tags.items():
        setattr(one, name, value)
    return [one]


def groups(z: float, intercept: float, frame_type="AXIAL") -> Dataset:
    (one,) = item(
        PlanePositionSequence=item(ImagePositionPatient=[-10, -20, z]),
        PixelValueTransformationSequence=item(
            RescaleSlope=1, RescaleIntercept=intercept, RescaleType="HU"
        ),
        CTImageFrameTypeSequence=item(FrameType=["ORIGINAL", "PRIMARY", frame_type, "NONE"]),
    )
    return one


@pytest.fixture
def enhanced(tmp_path, slice_of):
    """Write frames at the given depths, frame n holding 100 n everywhere; give the path."""

    def write(depths, change=lambda ds: None):
        ds = slice_of(0)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            delattr(ds, name)
        del ds.RescaleSlope, ds.RescaleIntercept, ds.SliceThickness
        ds.NumberOfFrames = len(depths)
        ds.SharedFunctionalGroupsSequence = item(
            PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
            PixelMeasuresSequence=item(PixelSpacing=[0.5, 0.75], SliceThickness=2),
        )
        ds.PerFrameFunctionalGroupsSequence = [groups(z, -10.0 * n) for n, z in enumerate(depths)]
        frames = np.arange(len(depths), dtype="<u2") * 100
        ds.PixelData = np.broadcast_to(frames[:, None, None], (len(depths), 4, 5)).tobytes()
        change(ds)
        pydicom.dcmwrite(tmp_path / "enhanced.dcm", ds, enforce_file_format=True)
        return tmp_path / "enhanced.dcm"

    return write


def test_frames_are_ordered_by_position_each_with_its_own_rescale(enhanced):
    volume = open_volume(enhanced([4, 0, 2]))
    assert volume.shape == (5, 4, 3) and volume.findings == ()
    assert volume.read(None)[0, 0].tolist() == [90, 180, 0]
    assert volume.affine[:3].tolist() == [[-0.75, 0, 0, 10], [0, -0.5, 0, 20], [0, 0, 2, 0]]


def test_a_box_reads_its_frames_only(enhanced):
    volume = open_volume(enhanced([4, 0, 2]))
    assert volume.read((slice(1, 2), slice(0, 4), slice(1, 2))).ravel().tolist() == [180] * 4


def test_frames_are_numbered_from_one(enhanced):
    places = open_volume(enhanced([4, 0, 2])).slices
    assert [place.instance_number for place in places] == [2, 3, 1]
    assert [place.origin for place in places] == [(10, 20, z) for z in (0, 2, 4)]


def test_a_multi_frame_file_is_a_series_of_its_folder(enhanced):
    volume = open_volume(enhanced([4, 0, 2]).parent)
    assert volume.meta["slice_thickness"] == "2" and len(volume.files) == 1


def test_missing_frames_are_noticed_and_interpolated(enhanced):
    path = enhanced([0, 2, 6])
    with pytest.raises(CheckFailed, match="between enhanced.dcm frame 2 and enhanced.dcm frame 3"):
        open_volume(path)
    volume = open_volume(path, config.Checks(missing_slices="warn"))
    assert volume.read(None)[0, 0].tolist() == [0, 90, 135, 180]


def test_scout_frames_are_left_out(enhanced):
    def scout(ds):
        ds.PerFrameFunctionalGroupsSequence[0] = groups(0, 0, "LOCALIZER")

    volume = open_volume(enhanced([0, 2, 4], scout))
    assert volume.shape == (5, 4, 2) and volume.findings[0].check == "localizer"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.PerFrameFunctionalGroupsSequence.pop(), "places of 3 frames, got 2"),
        (lambda ds: delattr(ds, "SharedFunctionalGroupsSequence"), "frame 1: .*PixelSpacing, got"),
        (lambda ds: setattr(ds, "NumberOfFrames", 4), "need 160 bytes of pixel data, got 120"),
        (lambda ds: setattr(ds, "NumberOfFrames", -1), "frames above 0"),
    ],
)
def test_broken_multi_frame_images_are_refused(enhanced, change, message):
    with pytest.raises(DataError, match=rf"enhanced\.dcm.*{message}"):
        open_volume(enhanced([0, 2, 4], change))


def test_frames_without_functional_groups_have_no_place(enhanced):
    def plain(ds):
        del ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence

    with pytest.raises(CheckFailed, match="ImagePositionPatient, ImageOrientationPatient, PixelSp"):
        open_volume(enhanced([0, 2], plain))


def test_garbled_functional_groups_are_refused(enhanced):
    path = enhanced([0, 2])
    spacing = b"\x28\x00\x30\x00D"
    path.write_bytes(path.read_bytes().replace(spacing + b"S", spacing + b","))
    with pytest.raises(DataError, match="its functional groups are broken"):
        open_volume(path)


def test_frames_compressed_in_any_order_are_found_by_the_extended_offset_table(enhanced):
    def backwards(ds):
        ds.compress(RLELossless, generate_instance_uid=False)
        frames = list(generate_frames(ds.PixelData, number_of_frames=3))
        ds.PixelData, offsets, lengths = encapsulate_extended(frames[::-1])
        ds.ExtendedOffsetTable = np.frombuffer(offsets, "<u8")[::-1].tobytes()
        ds.ExtendedOffsetTableLengths = np.frombuffer(lengths, "<u8")[::-1].tobytes()

    assert open_volume(enhanced([4, 0, 2], backwards)).read(None)[0, 0].tolist() == [90, 180, 0]


def test_a_deflated_multi_frame_file_is_unpacked_no_further_than_needed(enhanced):
    def bomb(ds):
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        ds.PixelData += bytes(150_000_000)

    path = enhanced([4, 0, 2], bomb)
    tracemalloc.start()
    assert open_volume(path).read(None)[0, 0].tolist() == [90, 180, 0]
    assert tracemalloc.get_traced_memory()[1] < 80_000_000
    tracemalloc.stop()
