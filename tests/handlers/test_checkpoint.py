"""Checkpoints are whole or not there, and hold tensors and plain values only."""

import re
import sys

import pytest
import torch

from capsmed.errors import CapsmedError, CheckpointError
from capsmed.handlers import EpochCheckpoint
from capsmed.handlers.checkpoint import load_weights, read


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    return EpochCheckpoint(tmp_path, {"network": torch.nn.Linear(300, 70)}, {"model": "tiny"})


def test_the_best_checkpoint_is_the_one_with_the_highest_score(checkpoint):
    better = [checkpoint.save(epoch, score) for epoch, score in [(1, -3.0), (2, -1.0), (3, -2.0)]]
    assert better == [True, True, False]
    assert (read(checkpoint.best)["epoch"], read(checkpoint.last)["epoch"]) == (2, 3)


def test_without_a_score_there_is_no_best_checkpoint(checkpoint):
    checkpoint.save(1)
    assert checkpoint.last.exists() and not checkpoint.best.exists()


def test_resuming_restores_epoch_score_and_weights(checkpoint, tmp_path):
    checkpoint.save(4, -0.5)
    other = EpochCheckpoint(tmp_path, {"network": torch.nn.Linear(300, 70)}, {})
    assert other.resume() and (other.epoch, other.best_epoch, other.best_score) == (4, 4, -0.5)
    pairs = zip(
        other.parts["network"].parameters(), checkpoint.parts["network"].parameters(), strict=True
    )
    assert all(torch.equal(mine, yours) for mine, yours in pairs)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_full_disk_leaves_the_last_checkpoint_as_it_was(checkpoint):
    import resource

    checkpoint.save(1)
    before, limit = checkpoint.last.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(CapsmedError, match=r"last\.pt: cannot be written .*free some space"):
            checkpoint.save(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert checkpoint.last.read_bytes() == before
    assert [path.name for path in checkpoint.folder.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("content", [b"", b"PK half of one", b"text, not weights"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "best.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"best\.pt: expected a whole checkpoint"):
        read(tmp_path / "best.pt")


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"network": re.compile("pickled by code")}, tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="expected a whole checkpoint"):
        read(tmp_path / "best.pt")


def test_weights_of_another_network_name_the_first_difference(checkpoint):
    checkpoint.save(1)
    with pytest.raises(CheckpointError, match="got another architecture .*size mismatch"):
        load_weights(torch.nn.Linear(300, 71), checkpoint.last)
