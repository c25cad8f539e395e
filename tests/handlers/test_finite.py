"""Finding the first step, weight and layer that is not finite."""

import pytest
import torch
from ignite.engine import Engine
from monai.engines import SupervisedTrainer
from torch import nn

from capsmed.handlers import FiniteCheck
from capsmed.handlers.finite import first_bad_output, first_bad_weight


class Reciprocal(nn.Module):
    def forward(self, x):
        return 1 / (x * 0)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU(), Reciprocal()), nn.Linear(3, 1))


class Found(Exception):
    """Carries the step that the check has found."""


def tell(engine: Engine, step: int) -> None:
    raise Found(f"epoch {engine.state.epoch} step {step}")


def run(values: list[float], every: int | None, rate: float = 0.0) -> None:
    """Train one weight on these inputs; the loss is weight times input."""
    net = nn.Linear(1, 1, bias=False)
    batches = [{"image": torch.tensor([[float(v)]]), "label": torch.zeros(1)} for v in values]
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=2,
        train_data_loader=batches,
        network=net,
        optimizer=torch.optim.SGD(net.parameters(), lr=rate),
        loss_function=lambda output, target: output.mean(),
        train_handlers=[FiniteCheck(tell, every)],
        decollate=False,
    )
    trainer.logger.setLevel("CRITICAL")
    trainer.run()


@pytest.mark.parametrize("every", [None, 1, 2, 3, 100])
def test_the_first_bad_step_is_found_however_seldom_one_looks(every):
    with pytest.raises(Found, match="epoch 1 step 4"):
        run([1, 2, 3, float("nan"), 5, float("inf")], every)


def test_finite_losses_pass():
    run([1, 2, 3], every=2)


def test_weights_that_are_not_finite_after_finite_losses_are_found_at_the_epochs_end():
    with pytest.raises(Found, match="epoch 1 step 0"):
        run([1e30], every=1, rate=1e30)


def test_the_first_layer_in_order_of_execution_is_named_not_the_block_around_it():
    net = network()
    assert first_bad_output(net, lambda: net(torch.ones(2, 3))) == "1.1"
    net[0].weight.data[0, 0] = float("nan")
    assert first_bad_output(net, lambda: net(torch.ones(2, 3))) == "0"
    assert first_bad_weight(net) == "0.weight"


def test_a_finite_network_has_no_bad_layer_and_keeps_no_hooks():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    assert first_bad_output(net, lambda: net(torch.ones(2, 3))) is None
    assert first_bad_weight(net) is None and first_bad_weight(nn.ReLU()) is None
    assert not any(module._forward_hooks for module in net.modules())
