"""Shipped configurations of sets with an official split test on the official test part only."""

from pathlib import Path

import numpy as np
import pytest

from capsmed import config
from capsmed.data.cohort import Cohort
from capsmed.data.splits import assign


def write_set(path: Path) -> Path:
    """Write a set in the MedMNIST layout: 6 training, 4 validation and 2 test volumes."""
    arrays = {}
    for part, count in (("train", 6), ("val", 4), ("test", 2)):
        arrays[f"{part}_images"] = np.zeros((count, 28, 28, 28), np.uint8)
        arrays[f"{part}_labels"] = np.arange(count)[:, None] % 2
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("name", ["luna16", "nodulemnist3d", "mnist", "mnist_fast"])
def test_the_official_test_part_is_the_only_one_tested(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSMED_DATA", str(tmp_path))
    experiment = config.load(name).experiment
    data = experiment.data.model_copy(
        update={"cohort": str(write_set(tmp_path / "set.npz")), "classes": None}
    )
    splits = assign(Cohort.read(data, tmp_path), experiment.split)
    tested = splits["case_id"][splits["part"] == "test"]
    assert set(splits["fold"]) == {0} and len(tested) == 2
    assert tested.str.startswith("test").all()
