import numpy as np
import pytest
import torch

from capsmed.engines import cuts
from capsmed.engines.cuts import keep_cuts, planes
from capsmed.networks import ConvNet, TrainingWrapper


def test_planes_go_through_the_middle_in_index_order():
    volume = np.zeros((1, 2, 5, 7, 11))
    volume[0, 0, 2, 3, 5] = 1
    found = planes(volume)
    assert {name: np.argwhere(cut[0]).tolist() for name, cut in found.items()} == {
        "xy": [[2, 3]], "xz": [[2, 5]], "yz": [[3, 5]],
    }  # fmt: skip
    assert found["xy"].max() == 255


def test_large_planes_are_thinned():
    assert planes(np.zeros((1, 1, 200, 97)))["image"].shape == (1, 1, 67, 49)


def test_of_many_cases_those_predicted_worst_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(cuts, "MOST_CASES", 2)
    view = [{"image": torch.full((1, 8, 8), k / 10)} for k in range(5)]
    shares, names = np.array([0.9, 0.1, 0.8, 0.3, 0.7]), np.array(list("abcde"))
    wrapper = TrainingWrapper(ConvNet(2, 1, 2, (8, 8), kernel_sizes=3))
    keep_cuts(tmp_path, names, view, shares, wrapper, torch.device("cpu"))
    stored = np.load(tmp_path / "cuts.npz")
    assert stored["case_id"].tolist() == ["b", "d"]
    assert stored["image"][:, 0, 0, 0] / 255 == pytest.approx([0.1, 0.3], abs=0.002)
    assert "image_decoded" not in stored
