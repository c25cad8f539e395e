"""The cohort that the engines' tests train on, and what two processes make of two commands."""

import json
from pathlib import Path

import pytest

from tests.engines.blobs import write_blobs
from tests.engines.torchrun import torchrun


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of 24 blobs of 24 patients."""
    return write_blobs(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="session")
def commands_on_two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[list]:
    """What a smoke test and then a training that diverges end with on each of two ranks.

    Returns:
        For each rank and each command [exit status, standard output, errors].
    """
    out = tmp_path_factory.mktemp("ranks")
    train = ["train", "--config", "digits", "--device", "cpu", "--out", str(out / "run"), "--set"]
    smoke = [*train, "data.limit=60", "--set", "evaluation.bootstrap=100", "--smoke"]
    diverging = [*train, "data.limit=300", "--set", "optimizer={name: sgd, lr: 1e30}"]
    script = Path(__file__).with_name("commands_on_ranks.py")
    torchrun(str(script), str(out), json.dumps([smoke, diverging]))
    return [json.loads((out / f"rank{rank}.json").read_text("utf-8")) for rank in (0, 1)]
