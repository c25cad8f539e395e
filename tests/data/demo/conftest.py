"""One small rendered cohort for all tests of this folder."""

from pathlib import Path

import pandas as pd
import pytest

from capsmed.data import demo


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of eight rendered cases."""
    return demo.write(tmp_path_factory.mktemp("demo") / "cohort", cases=8).parent


@pytest.fixture
def small_table(small_cohort: Path) -> pd.DataFrame:
    return pd.read_csv(small_cohort / "cohort.csv", dtype={"patient_id": str})
