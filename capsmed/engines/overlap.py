"""Patients of another cohort that a run has already trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from capsmed.data.cohort import Cohort
from capsmed.engines.run_folder import RunFolder
from capsmed.errors import DataError
from capsmed.metrics.tables import LEARNT

Choice = Literal["drop", "out-of-fold"]


@dataclass(frozen=True)
class Overlap:
    """Cases of another cohort whose patients the run has trained on, and what is done with them.

    Attributes:
        dropped: reason by case_id of the cases to leave out.
        test_folds: by case_id, the (repeat, fold) in which the run tested the patient; only the
            networks of these may predict the case.
        note: what has to be said beside the results; '' if nothing.
    """

    dropped: dict[str, str]
    test_folds: dict[str, set[tuple[int, int]]]
    note: str

    @classmethod
    def find(cls, run: RunFolder, other: Cohort, choice: Choice | None) -> Overlap:
        """Compare the included cases of ``other`` with the run's private list of patients.

        Raises:
            DataError: there are such patients and no ``choice``, or what it asks is impossible.
        """
        rows, known = other.included, _known_patients(run)
        if (known["patient_id"] == "").all() or not other.patients_known:
            if other.digest != run.read_json("environment.json").get("data_digest"):
                note = "patients unknown: whether the run has trained on them cannot be told"
                return cls({}, {}, note)
            # the run's own whole set: every case stands for a patient
            known = known.assign(patient_id=known["case_id"])
            rows = rows.assign(patient_id=rows["case_id"])
        splits = run.read_table("splits.csv").merge(known, on="case_id")
        trained = set(splits["patient_id"][splits["part"].isin(LEARNT)])
        seen = rows[rows["patient_id"].isin(trained)]
        if seen.empty:
            return cls({}, {}, "")
        note = f"{len(seen)} cases of patients the run has trained on: {choice}"
        if choice == "drop":
            if len(seen) == len(rows):
                raise DataError(
                    f"{other.file}: expected new patients, got none; nothing is left to evaluate"
                )
            reason = "the run has trained on this patient"
            return cls(dict.fromkeys(seen["case_id"], reason), {}, note)
        if choice == "out-of-fold":
            return cls({}, _test_folds(seen, splits, other.file), note)
        raise DataError(
            f"{other.file}: expected patients that the run has not trained on, got "
            f"{seen['patient_id'].nunique()} of {rows['patient_id'].nunique()} that it has; add "
            "--overlap drop to leave them out or --overlap out-of-fold to let only networks that "
            "have not seen them predict"
        )


def _known_patients(run: RunFolder) -> pd.DataFrame:
    if not (run.path / "private" / "ids.csv").exists():
        raise DataError(
            f"{run.path}: expected private/ids.csv, by which patients that the run has trained "
            "on are found, got none; copy it back from where the run was trained"
        )
    return run.read_table("private/ids.csv")


def _test_folds(
    seen: pd.DataFrame, splits: pd.DataFrame, file: str
) -> dict[str, set[tuple[int, int]]]:
    tested = splits[splits["part"] == "test"].groupby("patient_id")[["repeat", "fold"]]
    folds = {patient: set(map(tuple, part.to_numpy().tolist())) for patient, part in tested}
    if not set(seen["patient_id"]) <= folds.keys():
        raise DataError(
            f"{file}: expected every overlapping patient in a test fold of the run, got some "
            "that every network has trained on; use --overlap drop"
        )
    return {
        case: folds[patient]
        for case, patient in zip(seen["case_id"], seen["patient_id"], strict=True)
    }
