"""Headers: what capsmed keeps of pydicom's parse, of sound and of damaged files."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from capsmed.data.dicom import reading
from capsmed.data.dicom.header import Header
from capsmed.data.dicom.parsing import read_header

SAMPLES = sorted(
    path.relative_to(Path(pydicom.__file__).parent / "data/test_files").as_posix()
    for path in (Path(pydicom.__file__).parent / "data/test_files").glob("*.dcm")
)
FIELDS = {
    "rows": "Rows",
    "columns": "Columns",
    "bits_stored": "BitsStored",
    "patient_id": "PatientID",
    "series_uid": "SeriesInstanceUID",
    "sop_uid": "SOPInstanceUID",
    "photometric": "PhotometricInterpretation",
    "slope": "RescaleSlope",
    "intercept": "RescaleIntercept",
    "thickness": "SliceThickness",
    "instance_number": "InstanceNumber",
}


def sample(name: str) -> str:
    return str(get_testdata_file(name, download=False))


def said(name: str, header: Header) -> dict:
    """What pydicom reads of a header's fields, absent and empty tags as the header has them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        truth = pydicom.dcmread(sample(name), force=True)
        empty = {field: "" if getattr(header, field) == "" else None for field in FIELDS}
        found = {field: truth.get(keyword) for field, keyword in FIELDS.items()}
        return {
            field: empty[field] if found[field] in ("", None) else found[field] for field in found
        }


def test_headers_say_what_pydicom_reads_of_its_own_samples():
    headers = {name: read_header(sample(name)) for name in SAMPLES}
    images = {name: one for name, one in headers.items() if isinstance(one, Header)}
    assert len(images) > 40
    for name, header in images.items():
        assert {field: getattr(header, field) for field in FIELDS} == said(name, header), name


def test_pixels_lie_where_pydicom_finds_them():
    header = read_header(sample("CT_small.dcm"))
    with open(header.path, "rb") as file:
        file.seek(header.pixels.offset)
        assert file.read(header.pixels.length) == pydicom.dcmread(header.path).PixelData


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("MR_truncated.dcm", "need 8192 bytes of pixel data, got 8130: it is cut off"),
        ("UN_sequence.dcm", "names no SeriesInstanceUID"),
        ("rtstruct.dcm", None),
        ("rtdose.dcm", None),
        ("liver_1frame.dcm", None),
        ("test-SR.dcm", None),
        ("README.txt", None),
    ],
)
def test_what_is_no_whole_image_is_told_from_what_is_damaged(name, why):
    answer = read_header(sample(name))
    assert answer is None if why is None else why in answer


def test_a_korean_name_is_read_by_the_files_character_set(slice_of, series):
    ds = slice_of(0)
    ds.SpecificCharacterSet, ds.SeriesDescription = "ISO_IR 192", "흉부 CT"
    header = read_header(next(series([ds]).iterdir()))
    assert dict(header.texts)["series_description"] == "흉부 CT"


def test_a_header_cut_anywhere_never_raises_and_never_passes_as_whole(slice_of, series, tmp_path):
    whole = next(series([slice_of(0)]).iterdir()).read_bytes()
    cut = tmp_path / "cut.dcm"
    for length in range(0, len(whole), 5):
        cut.write_bytes(whole[:length])
        assert isinstance(read_header(cut), str), length


def test_sequences_nested_beyond_reason_are_refused(tmp_path, slice_of, series):
    whole = next(series([slice_of(0)]).iterdir()).read_bytes()
    begin = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    bomb = tmp_path / "bomb.dcm"
    at = whole.index(b"\x10\x00\x20\x00LO")
    bomb.write_bytes(whole[:at] + begin * 5000 + whole[at:])
    assert read_header(bomb) == "its header is broken"


def test_a_sequence_without_an_end_is_left_in_time(tmp_path, slice_of, series, monkeypatch):
    monkeypatch.setattr(reading, "_MOST_PIECES", 20_000)
    whole = next(series([slice_of(0)]).iterdir()).read_bytes()
    endless = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
    path, at = tmp_path / "endless.dcm", whole.index(b"\x10\x00\x20\x00LO")
    path.write_bytes(whole[:at] + endless + bytes(80_000) + whole[at:])
    assert read_header(path) == "its header has no end"


def test_warnings_of_pydicom_reach_nobody_and_the_filters_are_restored(slice_of, series):
    path = next(series([slice_of(0)]).iterdir())
    whole, odd = path.read_bytes(), b"\x08\x00\x05\x00CS\x06\x00KLINGO"
    at = whole.index(b"\x08\x00\x16\x00UI")
    path.write_bytes(whole[:at] + odd + whole[at:])
    with pytest.warns(UserWarning, match="KLINGO"):
        pydicom.dcmread(path)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        assert all(isinstance(one, Header) for one in threads.map(read_header, [path] * 50))
    assert warnings.filters == before
