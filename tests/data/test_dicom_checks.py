"""Each check of a DICOM series: found, refused by default, and what 'warn' makes of it."""

import numpy as np
import pytest

from capsmed import config
from capsmed.data.readers import open_volume
from capsmed.errors import CheckFailed


def changed(ds, **tags):
    for name, value in tags.items():
        delattr(ds, name) if value is None else setattr(ds, name, value)
    return ds


SIDEWAYS = [0, 1, 0, -1, 0, 0]
FAULTS = {
    "several_series": (
        lambda s: [s(0), s(2), s(0, series="9")],
        "expected one DICOM series, got 2",
    ),
    "mixed_orientation": (
        lambda s: [s(0), s(2), changed(s(4), ImageOrientationPatient=SIDEWAYS)],
        r"slices of 2 directions in one series \(2, 1 slices\), for example 2.dcm",
    ),
    "mixed_shape": (
        lambda s: [s(0), s(2), changed(s(4), PixelSpacing=[0.5, 0.8])],
        r"slices of 2 sizes or pixel spacings in one series \(2, 1 slices\), for example 2.dcm",
    ),
    "duplicate_slices": (
        lambda s: [s(0), s(2), s(2)],
        "several slices lie at one position, at 1 of 2 positions, for example 1.dcm and 2.dcm",
    ),
    "missing_slices": (
        lambda s: [s(0), s(2), s(8)],
        "2 of 5 slices are missing: expected steps of 2.00 mm, got up to 6.00 mm, between 1.dcm",
    ),
    "unequal_spacing": (
        lambda s: [s(0), s(2), s(4), s(7)],
        "expected equally spaced slices, got steps of 2.00 to 3.00 mm, the widest between 2.dcm",
    ),
    "missing_rescale": (
        lambda s: [changed(s(z), RescaleSlope=None, RescaleIntercept=None) for z in (0, 2)],
        "expected the DICOM tags RescaleSlope, RescaleIntercept, got none",
    ),
    "not_ct": (lambda s: [changed(s(z), Modality="MR") for z in (0, 2)], "Modality CT, got 'MR'"),
    "photometric": (
        lambda s: [changed(s(z), PhotometricInterpretation="MONOCHROME1") for z in (0, 2)],
        "expected MONOCHROME2, got MONOCHROME1",
    ),
}
WARNED = {
    "gantry_tilt": (
        lambda s: [changed(s(z), ImagePositionPatient=[0, z / 4, z]) for z in (0, 2, 4)],
        "slices are sheared by 14.0 degrees",
    ),
    "localizer": (
        lambda s: [s(0), s(2), changed(s(1), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])],
        "1 scout images lie among the slices",
    ),
    "lossy": (
        lambda s: [s(0), changed(s(2), LossyImageCompression="01")],
        "1 of 2 slices: lossy compression",
    ),
    "single_slice": (lambda s: [s(3)], "one slice only, 2 mm thick"),
}
HOPELESS = {
    "another patient": ("mixed_patients", {"PatientID": "008"}, "slices of one patient, got 2"),
    "no patient": ("mixed_patients", {"PatientID": ""}, "slices of one patient, got 2"),
    "another study": ("mixed_patients", {"StudyInstanceUID": "1.9"}, "slices of one study, got 2"),
    "no position": ("missing_position", {"ImagePositionPatient": None}, "tags ImagePositionPat"),
    "no direction": ("missing_position", {"ImageOrientationPatient": None}, "ImageOrientation"),
    "no pixel spacing": ("missing_position", {"PixelSpacing": None}, "the DICOM tags PixelSpacing"),
    "spacing 0": ("missing_position", {"PixelSpacing": [0, 0.5]}, r"above 0, got \[0.0, 0.5\]"),
    "skew axes": (
        "missing_position",
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        "two perpendicular unit vectors",
    ),
    "kilometres away": (
        "missing_position",
        {"ImagePositionPatient": [0, 0, 1e9]},
        "within 100000 mm",
    ),
    "another frame of reference": (
        "missing_position",
        {"FrameOfReferenceUID": "1.5"},
        "expected one frame of reference of all slices, got 2",
    ),
    "slope 0": ("missing_rescale", {"RescaleSlope": 0}, "slope other than 0, got slope 0"),
    "absurd slope": ("missing_rescale", {"RescaleSlope": 1e38}, r"finite .*, got slope 1e\+38"),
    "no slope, others have": (
        "missing_rescale",
        {"RescaleSlope": None},
        "the DICOM tags RescaleSlope, got none, while other slices have them",
    ),
    "colours": (
        "photometric",
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PixelData": bytes(120)},
        r"expected grey pixels, got colours \(RGB\)",
    ),
    "palette": ("photometric", {"PhotometricInterpretation": "PALETTE COLOR"}, "got colours"),
    "beside the others": (
        "duplicate_slices",
        {"ImagePositionPatient": [50, -20, 0]},
        "slices lie side by side in one plane",
    ),
    "far up": (
        "missing_slices",
        {"ImagePositionPatient": [-10, -20, 9e4]},
        "too wide to be filled",
    ),
}


@pytest.mark.parametrize("check", FAULTS)
def test_a_series_that_cannot_be_trusted_is_refused(series, slice_of, check):
    make, message = FAULTS[check]
    with pytest.raises(CheckFailed, match=message) as failed:
        open_volume(series(make(slice_of)))
    assert failed.value.check == check and not failed.value.skips
    assert str(failed.value).endswith(f"; mend it, or set data.checks.{check}: warn or skip")


@pytest.mark.parametrize("check", [*FAULTS, *WARNED])
def test_warn_goes_on_and_keeps_the_finding(series, slice_of, check):
    make, message = {**FAULTS, **WARNED}[check]
    volume = open_volume(series(make(slice_of)), config.Checks(**{check: "warn"}))
    assert [finding.check for finding in volume.findings] == [check]
    assert volume.read(None).shape == volume.shape


@pytest.mark.parametrize("check", [*FAULTS, *WARNED])
def test_skip_leaves_the_case_out(series, slice_of, check):
    make, message = {**FAULTS, **WARNED}[check]
    with pytest.raises(CheckFailed, match=message) as failed:
        open_volume(series(make(slice_of)), config.Checks(**{check: "skip"}))
    assert failed.value.skips


@pytest.mark.parametrize("fault", HOPELESS)
def test_what_leaves_no_right_way_on_is_refused_whatever_the_policy(series, slice_of, fault):
    check, tags, message = HOPELESS[fault]
    slices = [slice_of(0), slice_of(2), changed(slice_of(4), **tags)]
    lax = {
        name: "warn"
        for name, field in config.Checks.model_fields.items()
        if field.annotation == config.Policy
    }
    with pytest.raises(CheckFailed, match=message) as failed:
        open_volume(series(slices), config.Checks(**lax))
    assert failed.value.check == check


def test_a_clean_series_has_no_findings(series, slice_of):
    assert open_volume(series([slice_of(z) for z in (0, 2, 4)])).findings == ()


def test_scout_series_beside_a_scan_are_left_out(series, slice_of):
    scout = changed(slice_of(9, series="8"), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    volume = open_volume(series([slice_of(0), slice_of(2), scout]))
    assert volume.shape == (5, 4, 2) and volume.meta["series_uid"] == "1.2.3"
    assert [finding.check for finding in volume.findings] == ["localizer"]


def test_scouts_alone_are_no_scan(series, slice_of):
    scout = changed(slice_of(9), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(CheckFailed, match=r"scout images \(localizers\) only"):
        open_volume(series([scout]))


def test_a_single_slice_without_thickness_is_refused(series, slice_of):
    with pytest.raises(CheckFailed, match="one slice only, and without a SliceThickness"):
        open_volume(series([changed(slice_of(0), SliceThickness=None)]))


def test_steps_rounded_to_tenths_are_even(series, slice_of):
    slices = [slice_of(z) for z in (0, 0.6, 1.3, 1.9, 2.5, 3.1, 3.8, 4.4, 5.0)]
    volume = open_volume(series(slices))
    assert volume.findings == () and volume.spacing[2] == pytest.approx(0.625)


WARN = config.Checks(missing_slices="warn", unequal_spacing="warn", duplicate_slices="warn")


def test_missing_slices_are_interpolated_where_they_belong(series, slice_of):
    volume = open_volume(series([slice_of(z) for z in (0, 2, 8)]), WARN)
    assert volume.shape == (5, 4, 5) and volume.spacing[2] == 2
    assert volume.read(None)[0, 0].tolist() == [-1024, -824, -624, -424, -224]
    assert volume.read((slice(0, 1), slice(0, 1), slice(3, 4))).item() == -424


def test_uneven_steps_are_interpolated_to_even_ones(series, slice_of):
    volume = open_volume(series([slice_of(z) for z in (0, 2, 4, 7, 9)]), WARN)
    depths = volume.affine[2, 3] + np.arange(volume.shape[2]) * volume.affine[2, 2]
    assert depths.tolist() == [0, 2.25, 4.5, 6.75, 9]
    assert np.allclose(volume.read(None)[0, 0], 100 * depths - 1024)


def test_of_duplicates_the_first_instance_is_kept(series, slice_of):
    late = changed(slice_of(2), InstanceNumber=3, RescaleIntercept=7)
    early = changed(slice_of(2), InstanceNumber=2)
    volume = open_volume(series([changed(slice_of(0), InstanceNumber=1), late, early]), WARN)
    assert volume.read(None)[0, 0].tolist() == [-1024, -824]
    assert [place.instance_number for place in volume.slices] == [1, 2]


def test_grey_values_without_a_rescale_know_their_range(series, slice_of):
    make, _ = FAULTS["missing_rescale"]
    volume = open_volume(series(make(slice_of)), config.Checks(missing_rescale="warn"))
    assert volume.value_range == (0, 65535)


def test_slices_shifted_sideways_are_refused(series, slice_of):
    slices = [slice_of(z) for z in (0, 2, 4)]
    slices[1].ImagePositionPatient = [-9, -20, 2]
    with pytest.raises(CheckFailed, match="shifted sideways from one line by up to 1.00 mm"):
        open_volume(series(slices), WARN)
