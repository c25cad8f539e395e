"""Networks made ready to predict by the engine."""

import pytest
import torch
from torch import nn

from capsmed.engines.ready import ready
from capsmed.errors import ConfigError
from capsmed.networks import ConvNet, TrainingWrapper


class Reading(ConvNet):
    """Reads a weight before its norm, in a forward of which that cannot be seen."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        offset = self.encoder.stages[0][0].weight.mean() if image.sum() < 1e9 else 0
        return super().forward(image) + 10 * offset


def wrapped(kind: type[ConvNet]) -> TrainingWrapper:
    network = kind(2, 1, 2, (8, 7), channels=(4,), kernel_sizes=3, norm="batch")
    nn.init.constant_(network.encoder.stages[0][1].weight, 3.0)
    return TrainingWrapper(network).eval()


@pytest.mark.parametrize(("kind", "folded"), [(ConvNet, ["encoder.stages.0.1"]), (Reading, [])])
def test_a_network_predicts_unfolded_where_folding_would_change_its_scores(kind, folded):
    wrapper, image = wrapped(kind), torch.rand(3, 1, 8, 7)
    found = ready(wrapper, "float32", (1, 8, 7))
    assert found.network.folded == folded
    torch.testing.assert_close(found(image)["scores"], wrapper(image)["scores"])


def test_int8_is_refused_for_a_network_that_cannot_be_folded_safely():
    with pytest.raises(ConfigError, match="precision: int8: expected a network with .* got none"):
        ready(wrapped(Reading), "int8", (1, 8, 7))
