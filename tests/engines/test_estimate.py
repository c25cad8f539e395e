"""What is announced before the first epoch, and what a log shows while it runs."""

import pytest
import torch

from capsmed.engines import display
from capsmed.engines.display import Display
from capsmed.engines.estimate import measure
from capsmed.engines.fit import FoldTrainer
from capsmed.engines.fits import list_fits
from capsmed.engines.run_data import read_data
from capsmed.networks.cost import multiply_adds
from tests.engines.blobs import tiny


@pytest.fixture
def trainer(blobs, tmp_path):
    experiment = tiny(str(blobs))
    data = read_data(experiment, blobs.parent, show=False)
    fit = list_fits(tmp_path, experiment, data.splits)[0]
    return FoldTrainer(fit, experiment, data.cohort.classes, data.fold(fit), torch.device("cpu"))


def test_the_estimated_memory_holds_weights_gradients_moments_and_activations(trainer):
    found = measure(trainer)
    assert found.parameters == sum(p.numel() for p in trainer.wrapper.parameters())
    assert found.step_bytes > 16 * found.parameters
    assert found.seconds_per_epoch > 0
    patch = torch.zeros(1, 1, *trainer.experiment.patch.size)
    assert found.multiply_adds == multiply_adds(trainer.wrapper.network, patch) > 0


def test_measuring_leaves_the_network_as_it_was(trainer):
    before = {name: value.clone() for name, value in trainer.wrapper.state_dict().items()}
    measure(trainer)
    after = trainer.wrapper.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_log_without_a_terminal_tells_the_time_left(trainer, capsys, monkeypatch):
    monkeypatch.setattr(display, "QUIET_SECONDS", 0.0)
    with Display(4) as shown:
        shown.epoch(trainer.fit, {"train_loss": 0.5, "inner_loss": 0.25})
    text = capsys.readouterr().out
    expected = "capsnet fold 0 loss 0.500 inner 0.250; 1 of 4 epochs, less than a minute left"
    assert expected in text


def test_ranks_but_the_first_are_silent(trainer, capsys):
    with Display(4, enabled=False) as shown:
        shown.epoch(trainer.fit, {"train_loss": 0.5, "inner_loss": ""})
        shown.line("not shown")
    assert capsys.readouterr().out == ""
