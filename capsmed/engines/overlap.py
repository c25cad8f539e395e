"""Patients of another cohort that a run has already trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from capsmed.data.cohort import Cohort
from capsmed.engines.run_folder import RunFolder
from capsmed.errors import DataError

Choice = Literal["drop", "out-of-fold"]


@dataclass(frozen=True)
class Overlap:
    """Which cases of another cohort belong to patients the run has trained on."""

    seen: np.ndarray  # [cases] bool
    dropped: np.ndarray  # [cases] bool
    test_folds: list[set[tuple[int, int]]]  # (repeat, fold) in which the patient was tested
    note: str

    @classmethod
    def find(cls, run: RunFolder, other: Cohort, choice: Choice | None) -> Overlap:
        """Compare the included cases of ``other`` with the run's private list of patients.

        Raises:
            DataError: there are such patients and no ``choice``, or out-of-fold is impossible.
        """
        rows, none = other.included, np.zeros(len(other.included), bool)
        ids = run.read_table("private/ids.csv")
        known = ids[ids["patient_id"] != ""]
        if known.empty or not other.patients_known:
            note = "patients unknown: whether the run has trained on them cannot be told"
            return cls(none, none, [set() for _ in rows.index], note)
        splits = run.read_table("splits.csv").merge(known, on="case_id")
        trained = set(splits["patient_id"][splits["part"] != "test"])
        seen = rows["patient_id"].isin(trained).to_numpy()
        if seen.any() and choice is None:
            count = rows["patient_id"][seen].nunique()
            raise DataError(
                f"cohort: expected patients that the run has not trained on, got {count} of "
                f"{rows['patient_id'].nunique()} that it has; add --overlap drop to leave them "
                "out or --overlap out-of-fold to let only networks that have not seen them predict"
            )
        tested = splits[splits["part"] == "test"].groupby("patient_id")[["repeat", "fold"]]
        folds = {patient: set(map(tuple, part.to_numpy().tolist())) for patient, part in tested}
        dropped = seen if choice == "drop" else none
        out_of_fold = seen & ~dropped
        if any(not folds.get(patient) for patient in rows["patient_id"][out_of_fold]):
            raise DataError(
                "cohort: expected every overlapping patient in a test fold of the run, got some "
                "that every network has trained on; use --overlap drop"
            )
        test_folds = [
            folds[patient] if unseen_only else set()
            for patient, unseen_only in zip(rows["patient_id"], out_of_fold, strict=True)
        ]
        note = f"{int(seen.sum())} cases of patients the run has trained on: {choice}"
        return cls(seen, dropped, test_folds, note if seen.any() else "")
