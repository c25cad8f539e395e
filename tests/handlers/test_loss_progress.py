"""The progress that a loss is told."""

import pytest
from ignite.engine import Engine, Events
from torch import nn

from capsmed.handlers import LossProgress
from capsmed.losses import MarginLoss, SpreadLoss


def margins(loss: nn.Module, spread: SpreadLoss, resumed_after: int = 0) -> list[float]:
    """The margin of each iteration of two epochs of four."""
    seen: list[float] = []
    engine = Engine(lambda engine, batch: seen.append(spread.margin))
    LossProgress(loss).attach(engine)

    @engine.on(Events.STARTED)
    def resume(engine: Engine) -> None:
        engine.state.epoch = resumed_after
        engine.state.iteration = resumed_after * 4

    engine.run(range(4), max_epochs=2)
    return seen


def test_the_margin_grows_from_iteration_to_iteration() -> None:
    spread = SpreadLoss()
    assert margins(spread, spread) == pytest.approx([0.2 + 0.7 * k / 8 for k in range(8)])


def test_a_resumed_training_has_the_margins_that_it_would_have_had() -> None:
    whole, rest = SpreadLoss(), SpreadLoss()
    assert margins(whole, whole)[4:] == margins(rest, rest, resumed_after=1)


def test_parts_of_a_loss_are_told_too() -> None:
    spread = SpreadLoss()
    assert margins(nn.ModuleList([spread]), spread)[-1] > 0.8


def test_a_loss_without_progress_is_left_alone() -> None:
    engine, progress = Engine(lambda engine, batch: None), LossProgress(MarginLoss())
    progress.attach(engine)
    assert not engine.has_event_handler(progress, Events.ITERATION_STARTED)
