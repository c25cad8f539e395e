"""Who a patient is stays in private/ids.csv: no other file of a run can tell."""

import shutil
import stat
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pydicom
import pytest

from capsmed.cli.runs import shareable_command
from capsmed.data import demo
from capsmed.engines.evaluate import evaluate
from capsmed.engines.train import train
from capsmed.report import write_report
from tests.engines.blobs import tiny

NAME, BIRTH_DATE, NUMBER = "Quxley", "19470229", "MRN-8675309"
PLANTED = [word.encode() for word in (NAME, BIRTH_DATE, NUMBER)]


def plant(folder: Path) -> Path:
    """Make a cohort of DICOM series with a patient's name in headers and folder names."""
    table = pd.read_csv(demo.write(folder / "demo", cases=16), dtype=str)
    table = table[table["format"].str.lower() == "dicom"].reset_index(drop=True)
    for number, row in table.iterrows():
        series = folder / f"{NAME}_Jane_{number}" / f"{BIRTH_DATE}"
        shutil.copytree(folder / "demo" / row["image"], series)
        for path in series.iterdir():
            slice_ = pydicom.dcmread(path)
            slice_.PatientName, slice_.PatientBirthDate = f"{NAME}^Jane", BIRTH_DATE
            slice_.PatientID = f"{NUMBER}-{number}"
            slice_.save_as(path)
        table.loc[number, ["image", "patient_id"]] = [
            series.relative_to(folder).as_posix(),
            f"{NUMBER}-{number}",
        ]
    table.drop(columns="mask", errors="ignore").to_csv(folder / "cohort.csv", index=False)
    return folder / "cohort.csv"


def content(path: Path) -> bytes:
    """Return a file's name and bytes, those inside an archive unpacked."""
    if not zipfile.is_zipfile(path):
        return str(path).encode() + path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return str(path).encode() + b"".join(archive.read(name) for name in archive.namelist())


@pytest.fixture(scope="module")
def planted_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(f"clinic_of_{NAME}")
    cohort = plant(folder)
    experiment = tiny(
        "cohort.csv",
        data={"classes": ["benign", "malignant"], "frame": "RAS"},
        patch={"spatial_dims": 3, "size": [12, 12, 12], "spacing": 3.0, "window": [-1000, 400]},
        training={"epochs": 1},
    )
    out = tmp_path_factory.mktemp("results") / "run"
    command = shareable_command(["train", "--data-root", str(cohort.parent)])
    run = train(experiment, base=cohort.parent, out=out, command=command)
    evaluate(run, cohort=str(cohort), overlap="out-of-fold", frame="RAS", device="cpu")
    write_report(run)
    return run


def test_no_file_of_a_run_but_the_private_one_names_a_patient(planted_run):
    files = [path for path in planted_run.rglob("*") if path.is_file()]
    shared = [path for path in files if path != planted_run / "private" / "ids.csv"]
    assert len(shared) > 15 and planted_run / "report.html" in shared
    telling = [path for path in shared if any(word in content(path) for word in PLANTED)]
    assert telling == []


def test_the_private_file_names_them_and_only_its_owner_may_read_it(planted_run):
    ids = planted_run / "private" / "ids.csv"
    assert NUMBER in ids.read_text(encoding="utf-8")
    if sys.platform != "win32":
        assert stat.S_IMODE(ids.stat().st_mode) == 0o600


def test_the_same_patient_has_another_pseudonym_in_another_run(planted_run):
    cases = pd.read_csv(planted_run / "cohort.csv")
    assert cases["patient"].str.fullmatch("P[0-9a-f]{10}").all()
    assert cases["patient"].nunique() == len(cases)
