"""The corpus of bad inputs: NIfTI, NRRD, MetaImage, NumPy, pictures and archives."""

import gzip
import io
import pickle
import tarfile
import zipfile

import nibabel as nib
import numpy as np

from tests.data.corpus import AFFINE, HU, TRUE, entry, scan
from tests.data.scan_writers import write_metaimage, write_nifti, write_nrrd


@entry("NIfTI with neither sform nor qform", "missing_geometry", "neither an sform nor a qform")
def nifti_no_forms(folder):
    return write_nifti(folder / "a.nii", HU, AFFINE, sform=(None, 0), qform=(None, 0))


@entry("NIfTI whose sform and qform differ", "form_conflict", "place a corner .* mm apart")
def nifti_conflict(folder):
    other = AFFINE @ np.diag([-1, 1, 1, 1.0])
    return write_nifti(folder / "a.nii", HU, AFFINE, sform=(AFFINE, 1), qform=(other, 1))


@entry("NIfTI of four dimensions", "refused", "expected a 3D image, got shape")
def nifti_4d(folder):
    return write_nifti(folder / "a.nii.gz", np.stack([HU, HU], axis=-1), AFFINE)


@entry("NIfTI with NaN in its affine", "refused", "geometry holds NaN or infinite numbers")
def nifti_nan_affine(folder):
    path = write_nifti(folder / "a.nii", HU, AFFINE)
    whole = bytearray(path.read_bytes())
    whole[280:284] = np.float32(np.nan).tobytes()  # srow_x
    path.write_bytes(whole)
    return path


@entry("NIfTI cut off", "refused", "cut off")
def nifti_cut(folder):
    path = write_nifti(folder / "a.nii", HU, AFFINE)
    path.write_bytes(path.read_bytes()[:-50])
    return path


@entry("NIfTI, gzipped and cut off", "refused", "a.nii.gz: .*(cut off|cannot be read)")
def nifti_gz_cut(folder):
    path = write_nifti(folder / "a.nii.gz", HU, AFFINE)
    path.write_bytes(path.read_bytes()[:-200])
    return path


@entry("NIfTI, gzipped with a flipped byte", "refused", "a.nii.gz: .*cannot be read")
def nifti_gz_flipped(folder):
    path = write_nifti(folder / "a.nii.gz", HU, AFFINE)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    return path


@entry("NIfTI that declares far more voxels than it holds", "refused", "cut off")
def nifti_huge(folder):
    return declared(write_nifti(folder / "a.nii", HU, AFFINE))


@entry("NIfTI gzip bomb", "refused", "cut off|expected .* voxels")
def nifti_bomb(folder):
    plain = declared(write_nifti(folder / "a.nii", HU, AFFINE))
    (folder / "a.nii.gz").write_bytes(gzip.compress(plain.read_bytes() + bytes(40_000_000)))
    return folder / "a.nii.gz"


def declared(path, count=30000):
    """The same NIfTI, its header claiming ``count`` voxels along each axis."""
    whole = bytearray(path.read_bytes())
    whole[42:48] = np.array([count] * 3, "<i2").tobytes()
    path.write_bytes(whole)
    return path


@entry("NIfTI of complex numbers", "refused", "expected real numbers")
def nifti_complex(folder):
    nib.save(nib.Nifti1Image(HU.astype(np.complex64), AFFINE), folder / "a.nii")
    return folder / "a.nii"


@entry("NIfTI in metres", "refused", "expected millimetres, got 'meter'")
def nifti_metres(folder):
    image = nib.Nifti1Image(HU, AFFINE)
    image.header.set_xyzt_units("meter")
    nib.save(image, folder / "a.nii")
    return folder / "a.nii"


@entry("PNG renamed .nii", "refused", r"a\.nii: cannot be read as NIfTI")
def png_as_nifti(folder):
    from PIL import Image

    Image.fromarray(np.zeros((40, 40), np.uint8)).save(folder / "a.png")
    return (folder / "a.png").rename(folder / "a.nii")


@entry("empty file named .nii.gz", "refused", r"a\.nii\.gz: cannot be read as NIfTI")
def empty_nifti(folder):
    (folder / "a.nii.gz").write_bytes(b"")
    return folder / "a.nii.gz"


@entry("NRRD whose data file is missing", "refused", r"gone\.raw: not found")
def nrrd_gone(folder):
    return write_nrrd(folder / "a.nhdr", HU, AFFINE, encoding="raw", data_file="gone.raw")


@entry("NRRD that names an absolute data file", "refused", "expected a file .*beside|own folder")
def nrrd_absolute(folder):
    return write_nrrd(folder / "a.nhdr", HU, AFFINE, encoding="raw", data_file="/etc/hostname")


@entry("NRRD that names a data file above its folder", "refused", "beside|own folder")
def nrrd_above(folder):
    (folder / "x").mkdir()
    (folder / "secret.raw").write_bytes(HU.tobytes(order="F"))
    fields = {"encoding": "raw", "data_file": "../secret.raw"}
    return write_nrrd(folder / "x" / "a.nhdr", HU, AFFINE, **fields)


@entry("NRRD that names a URL as its data file", "refused", "not found|beside|own folder")
def nrrd_url(folder):
    url = "http://localhost/scan.raw"
    return write_nrrd(folder / "a.nhdr", HU, AFFINE, encoding="raw", data_file=url)


@entry("NRRD of an unknown encoding", "refused", "expected the encoding raw, .* got 'zstd'")
def nrrd_encoding(folder):
    return write_nrrd(folder / "a.nrrd", HU, AFFINE, encoding="zstd")


@entry("NRRD cut off", "refused", r"a\.nrrd: .*cut off")
def nrrd_cut(folder):
    path = write_nrrd(folder / "a.nrrd", HU, AFFINE, encoding="raw")
    path.write_bytes(path.read_bytes()[:-10])
    return path


@entry("NRRD that declares far more voxels than it holds", "refused", "cut off")
def nrrd_huge(folder):
    return write_nrrd(folder / "a.nrrd", HU, AFFINE, sizes="60000 60000 60000")


@entry("NRRD without a patient space", "missing_geometry", "expected a patient space")
def nrrd_no_space(folder):
    return write_nrrd(folder / "a.nrrd", HU, AFFINE, space=None, space_dimension=3)


@entry("MHD whose raw file is short", "refused", r"scan\.raw: expected \d+ bytes .*, got")
def mhd_short(folder):
    path = write_metaimage(folder / "a.mhd", HU, AFFINE)
    (folder / "scan.raw").write_bytes(HU.tobytes()[:-10])
    return path


@entry("MHD that names a file above its folder", "refused", "beside|own folder")
def mhd_above(folder):
    (folder / "x").mkdir()
    (folder / "secret.raw").write_bytes(HU.tobytes(order="F"))
    return write_metaimage(folder / "x" / "a.mhd", HU, AFFINE, ElementDataFile="../secret.raw")


@entry("MHD whose voxels are in a list of files", "refused", "LIST")
def mhd_list(folder):
    return write_metaimage(folder / "a.mhd", HU, AFFINE, ElementDataFile="LIST")


@entry("MHD that declares far more voxels than it holds", "refused", r"expected \d+ bytes")
def mhd_huge(folder):
    return write_metaimage(folder / "a.mhd", HU, AFFINE, DimSize="60000 60000 60000")


@entry("MHA whose zlib stream is damaged", "refused", r"a\.mha: .*cannot be read")
def mha_damaged(folder):
    path = write_metaimage(folder / "a.mha", HU, AFFINE)
    path.write_bytes(path.read_bytes()[:-40])
    return path


@entry("MHD without an offset", "missing_geometry", "expected Offset, got none")
def mhd_no_offset(folder):
    return write_metaimage(folder / "a.mhd", HU, AFFINE, Offset=None)


class Planted:
    """What a pickle would run."""

    def __reduce__(self):
        return print, ("a pickle was run",)


@entry("NumPy file that is a pickle", "refused", r"a\.npy: cannot be read as a NumPy array")
def npy_pickled(folder):
    (folder / "a.npy").write_bytes(pickle.dumps(Planted()))
    return folder / "a.npy"


@entry("NumPy file of objects", "refused", r"a\.npy: cannot be read as a NumPy array")
def npy_objects(folder):
    np.save(folder / "a.npy", np.array([Planted()], dtype=object), allow_pickle=True)
    return folder / "a.npy"


@entry("NumPy file that declares far more than it holds", "refused", r"a\.npy: cannot be read")
def npy_huge(folder):
    head = b"{'descr': '<i2', 'fortran_order': False, 'shape': (50000, 50000, 9), }"
    head = head.ljust(117) + b"\n"
    (folder / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    return folder / "a.npy"


@entry("zip archive as the image", "refused", "unpack")
def zip_image(folder):
    with zipfile.ZipFile(folder / "scan.zip", "w") as archive:
        for path in scan(folder).iterdir():
            archive.write(path, f"../../{path.name}")
            archive.write(path, f"/etc/{path.name}")
    return folder / "scan.zip"


@entry("tar.gz archive as the image", "refused", "unpack")
def tar_image(folder):
    with tarfile.open(folder / "scan.tar.gz", "w:gz") as archive:
        for path in scan(folder).iterdir():
            archive.add(path, f"../../{path.name}")
    return folder / "scan.tar.gz"


@entry("archive renamed .nii.gz", "refused", r"a\.nii\.gz: cannot be read as NIfTI")
def tar_as_nifti(folder):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        archive.add(write_nifti(folder / "b.nii", HU, AFFINE), "../../b.nii")
    (folder / "a.nii.gz").write_bytes(stream.getvalue())
    return folder / "a.nii.gz"


@entry("file of no known kind", "refused", "expected .*DICOM")
def unknown(folder):
    (folder / "scan.xyz").write_bytes(bytes(range(256)) * 4)
    return folder / "scan.xyz"


@entry("axes swapped in an oblique NIfTI", TRUE)
def swapped_axes(folder):
    order = [2, 0, 1]
    swapped = AFFINE[:, [*order, 3]]
    return write_nifti(folder / "a.nii.gz", HU.transpose(order), swapped)
