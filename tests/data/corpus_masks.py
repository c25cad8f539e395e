"""The corpus of bad inputs: DICOM segmentations and structure sets."""

import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from tests.data.corpus import AFFINE, SHAPE, cohort, entry, scan
from tests.data.mask_writers import FRAME, ball, circles, write_rtstruct, write_seg

CENTRE = (AFFINE @ [6, 5, 3, 1])[:3]
INSIDE = ball(SHAPE, AFFINE, CENTRE, 4.0)
OUTLINES = circles(AFFINE, SHAPE[2], CENTRE, 4.0)
BOMB = 2**27  # bytes; deflated they are 130 KB


def masked(folder, segment="nodule"):
    scan(folder, FrameOfReferenceUID=FRAME)
    return cohort(folder, ",mask,mask_segment", f",m.dcm,{segment}", second=",,")


def seg(folder, **how):
    return write_seg(folder / "m.dcm", {"nodule": INSIDE}, AFFINE, **how)


def rtstruct(folder, outlines=OUTLINES, **how):
    return write_rtstruct(folder / "m.dcm", {"nodule": outlines}, **how)


def edited(path, **values):
    ds = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    pydicom.dcmwrite(path, ds)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def deflate_with_a_bomb(path):
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.EncapsulatedDocument = bytes(BOMB)
    pydicom.dcmwrite(path, ds)


@entry("DICOM SEG cut off", "refused", "a place for each frame")
def seg_cut(folder):
    cut(seg(folder))
    return masked(folder)


@entry("DICOM SEG without its last pixels", "refused", "cut off")
def seg_short(folder):
    path = seg(folder)
    path.write_bytes(path.read_bytes()[:-20])
    return masked(folder)


@entry("DICOM SEG that declares a huge matrix", "refused", "cut off: 65535 rows")
def seg_huge(folder):
    edited(seg(folder), Rows=65535, Columns=65535)
    return masked(folder)


@entry("DICOM SEG, label map, that declares a huge matrix", "refused", "65535 rows .* damaged")
def seg_labels_huge(folder):
    edited(seg(folder, kind="LABELMAP"), Rows=65535, Columns=65535)
    return masked(folder)


@entry("DICOM SEG that declares more frames than it places", "refused", "a place for each frame")
def seg_frames(folder):
    edited(seg(folder), NumberOfFrames=100000)
    return masked(folder)


@entry("DICOM SEG whose compressed frames are noise", "refused", "cannot be decoded")
def seg_noise(folder):
    path = seg(folder, kind="FRACTIONAL")
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = RLELossless
    noise = np.random.default_rng(0).integers(0, 256, (ds.NumberOfFrames, 300), dtype=np.uint8)
    ds.PixelData = encapsulate([frame.tobytes() for frame in noise])
    ds["PixelData"].is_undefined_length = True
    pydicom.dcmwrite(path, ds)
    return masked(folder)


@entry("DICOM SEG, deflated bomb", "refused", "not deflated")
def seg_bomb(folder):
    deflate_with_a_bomb(seg(folder))
    return masked(folder)


@entry("DICOM SEG of two frames 40 m apart", "refused", "lie far away")
def seg_far(folder):
    two = np.zeros((490, 490, 2), dtype=bool)
    two[[0, -1], :, :] = two[:, [0, -1], :] = True
    path = write_seg(folder / "m.dcm", {"nodule": two}, np.diag([0.7, 0.7, 5.0, 1.0]))
    ds = pydicom.dcmread(path)
    place = ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    place.ImagePositionPatient[2] = 40000
    pydicom.dcmwrite(path, ds)
    return masked(folder)


@entry("DICOM SEG whose frames lie nowhere", "refused", "its place is no numbers")
def seg_nowhere(folder):
    path = seg(folder)
    ds = pydicom.dcmread(path)
    place = ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    place.ImagePositionPatient[2] = "1e300"
    pydicom.dcmwrite(path, ds)
    return masked(folder)


@entry("DICOM SEG of another series", "refused", "drawn on another series")
def seg_of_another(folder):
    seg(folder, series="9.9")
    return masked(folder)


@entry("RTSTRUCT cut off", "refused", "cannot be read|cut off")
def rtstruct_cut(folder):
    cut(rtstruct(folder))
    return masked(folder)


@entry("RTSTRUCT, deflated bomb", "refused", "not deflated")
def rtstruct_bomb(folder):
    deflate_with_a_bomb(rtstruct(folder))
    return masked(folder)


@entry("RTSTRUCT of another series", "refused", "drawn on another series")
def rtstruct_of_another(folder):
    rtstruct(folder, series="9.9")
    return masked(folder)


@entry("RTSTRUCT in another frame of reference", "refused", "another frame of reference")
def rtstruct_elsewhere(folder):
    rtstruct(folder, frame="9.9")
    return masked(folder)


@entry("RTSTRUCT without the named ROI", "refused", "no segment 'lobe'")
def rtstruct_unknown(folder):
    rtstruct(folder)
    return masked(folder, "lobe")


@entry("RTSTRUCT whose ROI is points", "refused", "CLOSED_PLANAR outlines in the ROI, got POINT")
def rtstruct_points(folder):
    rtstruct(folder, [CENTRE[None]], form="POINT")
    return masked(folder)


@entry("RTSTRUCT far away from the scan", "refused", "do not touch the scan")
def rtstruct_far(folder):
    rtstruct(folder, [corners + [0, 0, 1e7] for corners in OUTLINES])
    return masked(folder)


@entry("RTSTRUCT that leaves slices out without a rule", "refused", "gaps of 2 to 3 slices")
def rtstruct_gaps(folder):
    whole = circles(AFFINE, SHAPE[2], CENTRE, 9.0)
    rtstruct(folder, [whole[0], whole[2], whole[5]])
    return masked(folder)
