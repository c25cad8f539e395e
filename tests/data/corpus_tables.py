"""The corpus of bad inputs: tables, their points and their masks."""

import io
import json
import pickle
import shutil
import zipfile

import numpy as np

from tests.data.corpus import AFFINE, HEAD, HU, SHAPE, TRUE, cohort, entry, scan
from tests.data.mask_writers import write_seg_nrrd
from tests.data.scan_writers import write_nifti

CENTRE = (AFFINE @ [6, 5, 3, 1])[:3]
XYZ = ",{:.2f},{:.2f},{:.2f}".format(*CENTRE)


def masked(folder, inside, name="mask.nii.gz", affine=AFFINE):
    scan(folder)
    write_nifti(folder / name, inside.astype(np.uint8), affine)
    return cohort(folder, ",mask", f",{name}", second=",")


@entry("point in RAS given as LPS, outside the scan", "refused", "outside", frame="LPS")
def point_outside(folder):
    scan(folder)
    return cohort(folder, ",x,y,z", XYZ)


@entry("points without a frame", "refused", "data.frame")
def no_frame(folder):
    scan(folder)
    return cohort(folder, ",x,y,z", XYZ)


@entry("point that is no number", "refused", "expected a number|nan", frame="RAS")
def point_nan(folder):
    scan(folder)
    return cohort(folder, ",x,y,z", XYZ, second=",nan,inf,3")


@entry("8-bit image taken for HU", "refused", "grey values")
def grey_values(folder):
    grey = np.clip(HU, 0, 255).astype(np.uint8)
    write_nifti(folder / "a.nii.gz", grey, AFFINE)
    return cohort(folder, "", "", "a.nii.gz")


@entry("NaN voxels", "refused", "NaN|not finite")
def nan_voxels(folder):
    return floats(folder, np.nan)


@entry("infinite voxels", "refused", "NaN|infinite|not finite")
def infinite_voxels(folder):
    return floats(folder, np.inf)


def floats(folder, value):
    values = HU.astype(np.float32)
    values[6, 5, 3] = value
    write_nifti(folder / "a.nii.gz", values, AFFINE)
    return cohort(folder, "", "", "a.nii.gz")


@entry("empty mask", "refused", "mask.* empty")
def empty_mask(folder):
    return masked(folder, np.zeros(SHAPE))


@entry("mask of another scan", "refused", "mask")
def foreign_mask(folder):
    far = AFFINE.copy()
    far[2, 3] += 900
    return masked(folder, np.ones(SHAPE), affine=far)


@entry(".seg.nrrd without the named segment", "refused", "lobe")
def unknown_segment(folder):
    scan(folder)
    write_seg_nrrd(folder / "m.seg.nrrd", np.ones(SHAPE), AFFINE, [("nodule", 1, 0)])
    return cohort(folder, ",mask,mask_segment", ",m.seg.nrrd,lobe", second=",,")


def markup(folder, text, name):
    scan(folder)
    (folder / name).write_text(text)
    return cohort(folder, ",markup", f",{name}")


@entry("Slicer markup without a coordinate system", "refused", "coordinateSystem|frame")
def markup_without_frame(folder):
    point = {"label": "F-1", "position": [1.0, 2.0, 3.0], "positionStatus": "defined"}
    found = {"markups": [{"type": "Fiducial", "controlPoints": [point]}]}
    return markup(folder, json.dumps(found), "f.mrk.json")


@entry("Slicer .fcsv of an unknown frame", "refused", "frame|CoordinateSystem|coordinate system")
def fcsv_unknown_frame(folder):
    head = "# Markups fiducial file version = 4.11\n# CoordinateSystem = IJK\n"
    return markup(folder, head + "# columns = id,x,y,z\n1,1,2,3,0,0,0,1,1,1,0,F-1,,\n", "f.fcsv")


@entry("empty PatientIDs", "refused", "patient_id")
def empty_patients(folder):
    scan(folder)
    (folder / "cohort.csv").write_text(f"{HEAD}\na,p1,scan,benign\nb,,scan,malignant\n")
    return folder / "cohort.csv"


@entry("one PatientID for all", "refused", "patient")
def one_patient(folder):
    scan(folder)
    rows = [f"c{i},p1,scan,{'malignant' if i % 2 else 'benign'}" for i in range(12)]
    (folder / "cohort.csv").write_text("\n".join([HEAD, *rows]))
    return folder / "cohort.csv"


@entry("one case_id twice", "refused", "case_id")
def twice(folder):
    scan(folder)
    (folder / "cohort.csv").write_text(f"{HEAD}\na,p1,scan,benign\na,p2,scan,malignant\n")
    return folder / "cohort.csv"


@entry("image that is not there", "refused", "was not found")
def no_image(folder):
    return cohort(folder, "", "", "scan/gone.nii")


@entry("table in another encoding", "refused", "encoding|utf-8")
def encoding(folder):
    scan(folder)
    text = f"{HEAD},note\na,p1,scan,benign,폐\nb,p2,scan,malignant,폐\n"
    (folder / "cohort.csv").write_bytes(text.encode("cp949"))
    return folder / "cohort.csv"


@entry("empty table", "refused", "cohort.csv")
def empty_table(folder):
    (folder / "cohort.csv").write_bytes(b"")
    return folder / "cohort.csv"


@entry("table of zero bytes named .xlsx", "refused", "cohort.xlsx")
def no_workbook(folder):
    (folder / "cohort.xlsx").write_bytes(b"\0" * 300)
    return folder / "cohort.xlsx"


@entry("table with Korean paths and spaces", TRUE, frame="RAS")
def korean_table(folder):
    shutil.move(scan(folder), folder / "김 영상 폴더")
    labels = ["benign", "malignant", "benign", "malignant"]
    lines = [f"가 {i},환자 {i},김 영상 폴더,{name}{XYZ}" for i, name in enumerate(labels)]
    (folder / "cohort.csv").write_text("\n".join([f"{HEAD},x,y,z", *lines]), encoding="utf-8")
    return folder / "cohort.csv"


@entry("table with a byte-order mark and Windows line ends", TRUE)
def windows_table(folder):
    scan(folder)
    lines = [f"c{i},p{i},scan,{'malignant' if i % 2 else 'benign'}" for i in range(4)]
    text = "\r\n".join(["\ufeff" + HEAD, *lines, ""])
    (folder / "cohort.csv").write_bytes(text.encode())
    return folder / "cohort.csv"


def npz(folder, member):
    """A set in MedMNIST's layout; its first member is other bytes, two have names of no good."""
    with zipfile.ZipFile(folder / "set.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for part in ("train", "val", "test"):
            for name, shape in (("images", (4, 8, 8)), ("labels", (4, 1))):
                stream = io.BytesIO()
                np.save(stream, np.arange(np.prod(shape)).reshape(shape).astype(np.uint8) % 2)
                first = member if (part, name) == ("train", "images") else b""
                archive.writestr(f"{part}_{name}.npy", first or stream.getvalue())
        archive.writestr("../../test_images.npy", b"")
        archive.writestr("/etc/test_images.npy", b"")
    return folder / "set.npz"


@entry("npz whose array is a pickle", "refused", r"set\.npz")
def npz_pickled(folder):
    return npz(folder, pickle.dumps([1, 2]))


@entry("npz that declares far more than it holds", "refused", r"set\.npz")
def npz_huge(folder):
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (90000, 900, 900), }"
    head = head.ljust(117) + b"\n"
    return npz(folder, b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)


@entry("npz cut off", "refused", r"set\.npz")
def npz_cut(folder):
    path = npz(folder, b"")
    path.write_bytes(path.read_bytes()[:-200])
    return path
