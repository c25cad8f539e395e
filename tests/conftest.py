"""What every test has: fixed seeds, no plotting window, and the real data where they are."""

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("CAPSMED_CACHE_GB", "0")  # patches of tests stay out of the user's cache
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """A test's result depends neither on the tests before it nor on the time of day."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:  # the quick tests do without
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: CAPSMED_DATA, or ../shared/data beside the checkout."""
    folder = Path(os.environ.get("CAPSMED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"real data are not at {folder}; set CAPSMED_DATA to their folder")
    return folder
