"""What is resampled: patients with all their rows, or cases where patients are unknown."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Units:
    """The unit of each case."""

    index: pd.Series  # unit number by case_id, from 0
    patients_known: bool

    def within(self, predictions: pd.DataFrame) -> Units:
        """The units of these predictions alone, renumbered from 0."""
        index = self.index.loc[predictions["case_id"].unique()]
        return Units(pd.Series(pd.factorize(index)[0], index=index.index), self.patients_known)

    @property
    def count(self) -> int:
        """How many units there are."""
        return int(self.index.max()) + 1

    @property
    def described(self) -> str:
        """How an interval over these units is made, in words."""
        if self.patients_known:
            return f"over {self.count} patients"
        return f"by case, {self.count} cases; patients unknown"


def units_of(predictions: pd.DataFrame, cohort: pd.DataFrame) -> Units:
    """Find the unit of every predicted case.

    Args:
        predictions: with the column case_id.
        cohort: case_id and patient; one empty patient makes all unknown.

    Raises:
        ValueError: no predictions, or a case that the cohort does not list.
    """
    if len(predictions) == 0:
        raise ValueError("predictions: expected at least one row, got none")
    cases = predictions["case_id"].unique()
    patients = cohort.drop_duplicates("case_id").set_index("case_id")["patient"]
    absent = [case for case in cases if case not in patients.index]
    if absent:
        raise ValueError(
            f"predictions: expected cases of the cohort, got {len(absent)} others, "
            f"first {absent[0]!r}"
        )
    patients = patients.loc[cases].fillna("").astype(str)
    known = bool((patients != "").all())
    codes = pd.factorize(patients if known else cases)[0]
    return Units(pd.Series(codes, index=cases), known)
