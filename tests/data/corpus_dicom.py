"""The corpus of bad inputs: DICOM."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid

from tests.data.corpus import AFFINE, HU, TRUE, entry, scan
from tests.data.scan_writers import ct_slice, write_dicom


def changed(path: Path, **tags: object) -> Path:
    """Set tags of one file; None removes one."""
    ds = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    pydicom.dcmwrite(path, ds)
    return path


def each(folder: Path, **tags: object) -> Path:
    for path in sorted(folder.glob("*.dcm")):
        changed(path, **tags)
    return folder


@entry("slice cut off", "refused", r"004\.dcm: .*pixel data, got \d+: it is cut off")
def truncated(folder):
    path = scan(folder) / "004.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    return path.parent


@entry("slice cut off in its header", "refused", r"004\.dcm: its header is cut off|it has no pixel")
def header_cut(folder):
    path = scan(folder) / "004.dcm"
    path.write_bytes(path.read_bytes()[:455])
    return path.parent


@entry("slice without pixel data", "refused", r"004\.dcm: it has no pixel data")
def no_pixels(folder):
    return changed(scan(folder) / "004.dcm", PixelData=None).parent


@entry("Bits Stored smaller than the pixels", "refused", r"Bits Stored says 8, but a pixel holds")
def wrong_bits_stored(folder):
    return each(scan(folder), BitsStored=8, HighBit=7)


@entry("slice of another patient", "mixed_patients", "expected slices of one patient, got 2")
def another_patient(folder):
    return changed(scan(folder) / "004.dcm", PatientID="p2").parent


@entry("slice of another study", "mixed_patients", "expected slices of one study, got 2")
def another_study(folder):
    return changed(scan(folder) / "004.dcm", StudyInstanceUID="1.2.9").parent


@entry("missing middle slice", "missing_slices", "1 of 7 slices are missing")
def missing_slice(folder):
    (scan(folder) / "004.dcm").unlink()
    return folder / "scan"


@entry("duplicated slice", "duplicate_slices")
def duplicated(folder):
    shutil.copy(scan(folder) / "004.dcm", folder / "scan" / "copy.dcm")
    return folder / "scan"


@entry("uneven spacing", "unequal_spacing")
def uneven(folder):
    ds = pydicom.dcmread(scan(folder) / "004.dcm")
    x, y, z = ds.ImagePositionPatient
    return changed(folder / "scan" / "004.dcm", ImagePositionPatient=[x, y, z + 0.8]).parent


@entry("instance numbers in reversed order", TRUE)
def reversed_order(folder):
    for number, path in enumerate(sorted(scan(folder).iterdir())):
        changed(path, InstanceNumber=number + 1)
    return folder / "scan"


@entry("no Image Position (Patient)", "missing_position", "ImagePositionPatient")
def no_position(folder):
    return each(scan(folder), ImagePositionPatient=None)


@entry("rescale slope 0", "missing_rescale", "slope other than 0")
def slope_zero(folder):
    return each(scan(folder), RescaleSlope=0)


@entry("no rescale slope and intercept", "missing_rescale", "RescaleSlope")
def no_rescale(folder):
    return each(scan(folder), RescaleSlope=None, RescaleIntercept=None)


@entry("one slice without its rescale", "missing_rescale", "while other slices have them")
def one_without_rescale(folder):
    return changed(scan(folder) / "004.dcm", RescaleSlope=None, RescaleIntercept=None).parent


@entry("MONOCHROME1", "photometric", "expected MONOCHROME2, got MONOCHROME1")
def monochrome1(folder):
    return each(scan(folder), PhotometricInterpretation="MONOCHROME1")


@entry("colour pixels (RGB)", "photometric", "expected grey pixels, got colours")
def colour(folder):
    for path in sorted(scan(folder).iterdir()):
        size = HU.shape[0] * HU.shape[1] * 3
        bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PlanarConfiguration": 0}
        rgb = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
        changed(path, PixelData=bytes(size + size % 2), **bits, **rgb)
    return folder / "scan"


@entry("big endian", TRUE)
def big_endian(folder):
    for path in sorted(scan(folder).iterdir()):
        ds = pydicom.dcmread(path)
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        ds.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
        pydicom.dcmwrite(path, ds, little_endian=False, implicit_vr=False)
    return folder / "scan"


@entry("localizer among the slices", TRUE, "1 .*scout image")
def localizer(folder):
    scout = ct_slice(HU, AFFINE, 2)
    scout.ImageType, scout.SOPInstanceUID = ["ORIGINAL", "PRIMARY", "LOCALIZER"], "1.2.3.4.99"
    scout.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    pydicom.dcmwrite(scan(folder) / "scout.dcm", scout, enforce_file_format=True)
    return folder / "scan"


TILTED = AFFINE + np.eye(4)[:, [1]] @ np.eye(4)[[2]]


@entry("slices tilted against the bed (gantry tilt)", TRUE, "gantry|tilt|shear", affine=TILTED)
def tilted(folder):
    return write_dicom(folder / "scan", HU, TILTED)


@entry("zero-size slice", "refused", r"004\.dcm: the file is empty")
def zero_size(folder):
    (scan(folder) / "004.dcm").write_bytes(b"")
    return folder / "scan"


@entry("zero-size text file beside the slices", TRUE)
def zero_size_text(folder):
    (scan(folder) / "notes.txt").write_bytes(b"")
    return folder / "scan"


@entry("files that are no DICOM beside the slices", TRUE)
def junk(folder):
    random = np.random.default_rng(1)
    for name in ("README", "thumbs.db", "a.bin", ".DS_Store"):
        (scan(folder) if name == "README" else folder / "scan").joinpath(name).write_bytes(
            random.bytes(3000)
        )
    return folder / "scan"


@entry("noise named .dcm", "refused", r"noise\.dcm: it is no DICOM file, whatever its name says")
def noise(folder):
    (scan(folder) / "noise.dcm").write_bytes(np.random.default_rng(2).bytes(5000))
    return folder / "scan"


@entry("folder without any DICOM", "refused", "expected a folder of DICOM slices, found none")
def no_dicom(folder):
    (folder / "scan").mkdir()
    (folder / "scan" / "notes.txt").write_text("nothing here")
    return folder / "scan"


@entry("links that run in a circle", TRUE)
def symlink_loop(folder):
    (scan(folder) / "up").symlink_to(folder)
    (folder / "scan" / "round").symlink_to(folder / "scan" / "round")
    (folder / "scan" / "here").symlink_to(".")
    return folder / "scan"


@entry("named pipe in the folder", TRUE)
def pipe(folder):
    os.mkfifo(scan(folder) / "pipe.dcm")
    return folder / "scan"


@entry("named pipe as the image", "refused", "expected a file, got a device or pipe")
def pipe_itself(folder):
    os.mkfifo(folder / "pipe.dcm")
    return folder / "pipe.dcm"


@entry("zip renamed .dcm", "refused", r"all\.dcm: it is a zip archive, not a DICOM file; unpack it")
def zip_renamed(folder):
    with zipfile.ZipFile(scan(folder) / "all.dcm", "w") as archive:
        archive.write(folder / "scan" / "001.dcm", "../../001.dcm")
    return folder / "scan"


@entry("DICOMDIR and files without extension", TRUE)
def dicomdir(folder):
    tree = folder / "CD" / "DICOM" / "ST000000"
    tree.mkdir(parents=True)
    for number, path in enumerate(sorted(scan(folder).iterdir())):
        path.rename(tree / f"CT{number:06d}")
    shutil.copy(pydicom.data.get_testdata_file("DICOMDIR", download=False), folder / "CD")
    return folder / "CD"


@entry("Korean path with spaces", TRUE)
def korean(folder):
    return scan(folder, "환자 영상 2024 (복사본)")


@entry("huge matrix declared in a small file", "refused", "65535 rows x 65535 columns .* it is d")
def huge(folder):
    return changed(scan(folder) / "004.dcm", Rows=65535, Columns=65535).parent


@entry("two series in one folder", "several_series", "expected one DICOM series, got 2")
def two_series(folder):
    write_dicom(folder / "scan" / "b", HU, AFFINE, SeriesInstanceUID="1.2.3.5")
    write_dicom(folder / "scan" / "a", HU, AFFINE)
    return folder / "scan"


@entry("slices of two sizes", "mixed_shape")
def two_sizes(folder):
    ds = ct_slice(HU[:9], AFFINE, 3)
    pydicom.dcmwrite(scan(folder) / "004.dcm", ds, enforce_file_format=True)
    return folder / "scan"


@entry("slices of two directions", "mixed_orientation")
def two_directions(folder):
    path = scan(folder) / "004.dcm"
    return changed(path, ImageOrientationPatient=[0, 1, 0, 1, 0, 0]).parent


@entry("MR named as CT of the chest", "not_ct", "expected Modality CT, got 'MR'")
def magnetic(folder):
    return each(scan(folder), Modality="MR")


@entry("multi-frame file without positions of its frames", "missing_position")
def frames_without_positions(folder):
    ds = ct_slice(HU, AFFINE, 0)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    ds.NumberOfFrames, ds.PixelData = 7, ds.PixelData * 7
    pydicom.dcmwrite(folder / "multi.dcm", ds, enforce_file_format=True)
    return folder / "multi.dcm"


@entry("a rescale of its own in each slice", TRUE)
def own_rescales(folder):
    for number, path in enumerate(sorted(scan(folder).iterdir())):
        stored = np.frombuffer(pydicom.dcmread(path).PixelData, "<u2") + np.uint16(100 * number)
        changed(path, PixelData=stored.tobytes(), RescaleIntercept=-1024 - 100 * number)
    return folder / "scan"


@entry("files without DICOM's preamble and file meta", TRUE)
def no_preamble(folder):
    for path in sorted(scan(folder).iterdir()):
        ds = pydicom.dcmread(path)
        del ds.file_meta
        ds.preamble = None
        pydicom.dcmwrite(path, ds, implicit_vr=True, little_endian=True)
    return folder / "scan"


@entry("signed pixels", TRUE)
def signed_padding(folder):
    for path in sorted(scan(folder).iterdir()):
        hu = np.frombuffer(pydicom.dcmread(path).PixelData, "<u2").astype(np.int32) - 1024
        stored = {"PixelRepresentation": 1, "RescaleIntercept": 0}
        changed(path, PixelData=hu.astype("<i2").tobytes(), **stored)
    return folder / "scan"


@entry("two phases at the same positions", "duplicate_slices", "at 7 of 7 positions")
def two_phases(folder):
    for path in sorted(scan(folder).iterdir()):
        ds = pydicom.dcmread(path)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID}.7"
        pydicom.dcmwrite(path.with_name(f"late{path.name}"), ds)
    return folder / "scan"


@entry("position of words", "missing_position", "got none or no numbers")
def worded_position(folder):
    path = scan(folder) / "004.dcm"
    whole = path.read_bytes()
    place = b"\x20\x00\x32\x00DS"
    at = whole.index(place) + 8
    path.write_bytes(whole[:at] + b"nan" + whole[at + 3 :])
    return path.parent
