"""What every network keeps, in 2D and 3D.

Each check is a function of a `Case` and raises `AssertionError` where the network breaks it; its
docstring's first line says what is checked. A network's class may have an attribute ``example``:
options of a small one, with which it is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from capsmed.networks.registry import NETWORKS
from capsmed.networks.scores import SCORE_KINDS, probabilities
from capsmed.networks.wrapper import TrainingWrapper

CLASSES = 3
#: Axes that differ, so that none can be taken for another.
SIZES: dict[int, tuple[int, ...]] = {2: (30, 26), 3: (20, 22, 18)}


@dataclass(frozen=True)
class Case:
    """A registered network with its options, for images of one size.

    Attributes:
        name: the network's.
        axes: 2 or 3.
        options: its own; they may also change the four arguments.
    """

    name: str
    axes: int
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def kind(self) -> str:
        """'2D' or '3D'."""
        return f"{self.axes}D"

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything that the network is built from."""
        four = {"spatial_dims": self.axes, "in_channels": 1, "num_classes": CLASSES}
        return {**four, "input_size": SIZES[self.axes], **self.options}

    def network(self) -> nn.Module:
        """The network, always with the same weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return NETWORKS[self.name](**self.arguments)

    def images(self, batch: int = 2) -> Tensor:
        """Images with values of 0 to 1."""
        shape = (batch, self.arguments["in_channels"], *self.arguments["input_size"])
        return torch.rand(shape, generator=torch.Generator().manual_seed(5))


def cases(name: str, options: Mapping[str, Any] | None = None) -> list[Case]:
    """The network in 2D and 3D; without those that it refuses by its argument spatial_dims."""
    given = dict(getattr(NETWORKS[name], "example", {}) if options is None else options)
    axes = [given["spatial_dims"]] if "spatial_dims" in given else list(SIZES)
    found = [Case(name, number, given) for number in axes]
    return [case for case in found if not _refused(case)] or found[:1]


def is_built_from_the_four_arguments(case: Case) -> None:
    """It is built from spatial_dims, in_channels, num_classes and input_size."""
    assert isinstance(case.network(), nn.Module), "expected a torch.nn.Module"


def refuses_to_have_no_classes(case: Case) -> None:
    """It refuses num_classes=0 by a ValueError that names num_classes."""
    try:
        NETWORKS[case.name](**{**case.arguments, "num_classes": 0})
    except ValueError as error:
        assert "num_classes" in str(error), f"the error does not name num_classes: {error}"
    else:
        raise AssertionError("num_classes=0: expected a ValueError that names it, got a network")


def gives_one_tensor_of_scores(case: Case) -> None:
    """It gives one tensor of scores, [batch, classes], of a single image too."""
    network = case.network().eval()
    for batch in (1, 2, 5):
        scores = network(case.images(batch))
        assert isinstance(scores, Tensor), f"expected a tensor, got {type(scores).__name__}"
        expected = [batch, case.arguments["num_classes"]]
        assert list(scores.shape) == expected, f"expected {expected}, got {list(scores.shape)}"


def declares_its_score_kind(case: Case) -> None:
    """It declares score_kind, and its scores are of that kind."""
    network = case.network().eval()
    kind = getattr(network, "score_kind", None)
    assert kind in SCORE_KINDS, f"score_kind: expected one of {SCORE_KINDS}, got {kind!r}"
    scores = network(case.images(4))
    if kind != "logits":
        inside = bool((scores >= 0).all() and (scores <= 1).all())
        assert inside, f"{kind}: expected 0 to 1, got {scores.min():.3g} to {scores.max():.3g}"
    assert probabilities(scores, kind).isfinite().all(), "a probability is not finite"


def leaves_the_image_as_it_is(case: Case) -> None:
    """It does not change the image that it is given."""
    images = case.images()
    case.network().eval()(images)
    assert torch.equal(images, case.images()), "the image was written to"


def lets_a_gradient_reach_every_parameter(case: Case) -> None:
    """A finite gradient reaches every parameter."""
    network = case.network().train()
    _total(network, case.images(4)).backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name}: no gradient"
            assert parameter.grad.isfinite().all(), f"{name}: the gradient is not finite"


def treats_a_sample_alike_whatever_its_batch(case: Case) -> None:
    """In evaluation an image's scores do not depend on the rest of its batch."""
    network, images = case.network().eval(), case.images(5)
    with torch.no_grad():
        alone = torch.cat([network(image.unsqueeze(0)) for image in images])
        assert_close(network(images), alone, atol=1e-5, rtol=1e-4)


def stays_finite_on_a_black_image(case: Case) -> None:
    """Scores and gradients are finite on a black image."""
    network = case.network().train()
    black = torch.zeros_like(case.images())
    total = _total(network, black)
    total.backward()
    assert total.isfinite(), "a score is not finite"
    for name, parameter in network.named_parameters():
        finite = parameter.grad is None or parameter.grad.isfinite().all()
        assert finite, f"{name}: the gradient is not finite"


def is_its_weights(case: Case) -> None:
    """Its state_dict, loaded into a new one, gives the same scores."""
    first, second = case.network(), NETWORKS[case.name](**case.arguments)
    first.train()(case.images(4))  # moves what a normalisation has counted
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        found, expected = (net.eval()(case.images()) for net in (second, first))
    assert_close(found, expected, atol=0, rtol=0)


def exports_with_any_batch(case: Case) -> None:
    """``torch.export`` with a dynamic batch agrees at sizes not seen."""
    network = case.network().eval()
    shapes = ({0: torch.export.Dim("batch")},)
    with torch.no_grad():
        program = torch.export.export(network, (case.images(3),), dynamic_shapes=shapes).module()
        for batch in (1, 2, 7):
            images = case.images(batch)
            assert_close(program(images), network(images), atol=1e-4, rtol=1e-4)


CHECKS: Sequence[Callable[[Case], None]] = (
    is_built_from_the_four_arguments,
    refuses_to_have_no_classes,
    gives_one_tensor_of_scores,
    declares_its_score_kind,
    leaves_the_image_as_it_is,
    lets_a_gradient_reach_every_parameter,
    treats_a_sample_alike_whatever_its_batch,
    stays_finite_on_a_black_image,
    is_its_weights,
    exports_with_any_batch,
)


def _total(network: nn.Module, images: Tensor) -> Tensor:
    """A sum in which every score and every reconstructed pixel weighs differently."""
    target = torch.arange(len(images)) % CLASSES
    output = TrainingWrapper(network)(images, target)
    parts = [output[key] for key in ("scores", "reconstruction") if key in output]
    sums = [(part * torch.linspace(-1, 1, part.numel()).view_as(part)).sum() for part in parts]
    return torch.stack(sums).sum()


def _refused(case: Case) -> bool:
    try:
        case.network()
    except ValueError as error:
        return "spatial_dims" in str(error)
    except Exception:  # the first check tells it
        return False
    return False
