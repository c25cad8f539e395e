"""Compressed DICOM: bit-equal HU from every lossless encoder; damaged streams end in one line."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from capsmed.data.dicom import decoders
from capsmed.data.readers import open_volume
from capsmed.errors import DataError
from tests.data.codecs import CODECS, grey, signed

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "compressed-dicom.md"
LOSSLESS = [codec for codec in CODECS if codec.max_error == 0]
LOSSY = [codec for codec in CODECS if codec.max_error > 0]


@pytest.fixture(scope="module")
def slices(real_data, tmp_path_factory):
    """Two neighbouring slices of the real series, as stored, in 8 bits and as signed numbers."""
    made = tmp_path_factory.mktemp("slices")
    for form in ("stored", "grey", "signed"):
        (made / form).mkdir()
        for name in ("1-17.dcm", "1-18.dcm"):
            path = real_data / "ct_chest_dicom" / name
            change = {"stored": pydicom.dcmread, "grey": grey, "signed": signed}[form]
            change(path).save_as(made / form / name)
    return made


def encoded(codec, source: Path, target: Path) -> Path:
    if codec.missing:
        pytest.skip(codec.missing)
    target.mkdir()
    for path in sorted(source.iterdir()):
        codec.write(path, target / path.name)
    found = pydicom.dcmread(target / "1-17.dcm", stop_before_pixels=True)
    assert found.file_meta.TransferSyntaxUID == codec.syntax
    return target


@pytest.mark.parametrize("codec", LOSSLESS, ids=str)
def test_a_lossless_syntax_gives_bit_equal_hu(codec, slices, tmp_path):
    expected = open_volume(slices / "stored")
    volume = open_volume(encoded(codec, slices / "stored", tmp_path / "encoded"))
    assert np.array_equal(volume.read(None), expected.read(None))
    assert np.array_equal(volume.affine, expected.affine)
    assert volume.findings == () and volume.meta["transfer_syntax"] == codec.syntax


@pytest.mark.parametrize("codec", LOSSLESS, ids=str)
def test_signed_pixels_keep_their_sign_in_a_lossless_syntax(codec, slices, tmp_path):
    expected = open_volume(slices / "signed").read(None)
    volume = open_volume(encoded(codec, slices / "signed", tmp_path / "encoded"))
    assert expected.min() == -2000
    assert np.array_equal(volume.read(None), expected)


@pytest.mark.parametrize("codec", LOSSY, ids=str)
def test_a_lossy_syntax_is_decoded_and_reported(codec, slices, tmp_path):
    source = slices / ("grey" if codec.bits == 8 else "stored")
    volume = open_volume(encoded(codec, source, tmp_path / "encoded"))
    error = np.abs(volume.read(None) - open_volume(source).read(None)).max()
    assert 0 < error <= codec.max_error
    assert [finding.check for finding in volume.findings] == ["lossy"]


@pytest.mark.parametrize(("module", "codec"), [("gdcm", "JPEGLosslessSV1 by dcmcjpeg +e1")])
def test_a_missing_decoder_is_named(module, codec, slices, tmp_path, monkeypatch):
    codec = next(one for one in CODECS if str(one) == codec)
    volume = open_volume(encoded(codec, slices / "stored", tmp_path / "encoded"))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=r"1-1[78].dcm: .*needs a decoder; pip install python-gdcm"):
        volume.read(None)


def test_every_syntax_has_a_decoder_among_the_core_dependencies_and_none_is_gpl():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {line.split(">")[0] for line in project["dependencies"]}
    packages = {package for _, package, _ in decoders._DECODERS.values()} - {"capsmed"}
    assert packages <= core
    for package in packages:
        about = importlib.metadata.metadata(package)
        said = [about.get("License"), about.get("License-Expression"), *about.get_all("Classifier")]
        assert not any("GPL" in (text or "") for text in said)
    compressed = {codec.syntax for codec in CODECS if codec.syntax.is_compressed}
    assert compressed == set(decoders._DECODERS)


def test_the_page_names_every_encoder_and_decoder():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    for codec in CODECS:
        program = codec.encoder.split(" +")[0]
        assert any(codec.syntax in row and program in row for row in rows), str(codec)
    for syntax, (_, package, _) in decoders._DECODERS.items():
        assert any(syntax in row and package in row for row in rows), syntax


DAMAGE = """
import sys
import numpy as np
from capsmed.data.readers import open_volume
from capsmed.errors import DataError
folder, whole = sys.argv[1], None
for seed in range(int(sys.argv[2])):
    random = np.random.default_rng(seed)
    whole = whole or open(folder + "/1-17.dcm", "rb").read()
    start = whole.index(b"\\xe0\\x7f\\x10\\x00O") + 28
    hurt = bytearray(whole)
    kind, last = seed % 4, len(whole) - 8
    if kind == 0:
        hurt[random.integers(start, last) : last] = b""
    at = random.integers(start, (start + 150) if kind == 1 else last, 8)
    hurt_at = at[:3] if kind == 1 else at
    for place in hurt_at if kind in (1, 2) else ():
        hurt[place] = random.integers(256)
    if kind == 3:
        hurt[at[0] : at[0] + 900] = bytes(900)
    open(folder + "/1-17.dcm", "wb").write(hurt)
    try:
        shape = open_volume(folder).read(None).shape
        assert shape == (512, 512, 2), shape
    except DataError as error:
        assert "\\n" not in str(error), error
"""


@pytest.mark.parametrize(
    "syntax", ["RLELossless", "JPEGLosslessSV1", "JPEGLSLossless", "JPEG2000Lossless"]
)
def test_no_damaged_stream_ends_the_process(syntax, slices, tmp_path):
    codec = next(one for one in CODECS if one.syntax.keyword == syntax and not one.missing)
    folder = encoded(codec, slices / "stored", tmp_path / "encoded")
    command = [sys.executable, "-W", "ignore", "-c", DAMAGE, str(folder), "24"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
