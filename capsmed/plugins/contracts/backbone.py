"""What every backbone keeps, in 2D and 3D, alone and under a head.

Each check is a function of a `Case` and raises `AssertionError` where the backbone breaks it; its
docstring's first line says what is checked. A backbone may have an attribute ``example``: options
of a small one, with which it is checked; ``input_size`` among them is the size of the images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from capsmed.networks.blocks.backbone import attach
from capsmed.networks.blocks.levels import as_levels
from capsmed.networks.nets.backbone_classifier import BackboneClassifier
from capsmed.networks.nets.capsule_classifier import CapsuleClassifier
from capsmed.networks.registry import BACKBONES

CLASSES = 3
#: Axes that differ, multiples of the usual patches and strides.
SIZES: dict[int, tuple[int, ...]] = {2: (64, 96), 3: (32, 64, 32)}


@dataclass(frozen=True)
class Case:
    """A registered backbone with its options, for images of one size.

    Attributes:
        name: the backbone's.
        axes: 2 or 3.
        options: its own; they may also change the three arguments.
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
        """Everything that the backbone is built from."""
        three = {"spatial_dims": self.axes, "in_channels": 1, "input_size": SIZES[self.axes]}
        return {**three, **self.options}

    def backbone(self) -> nn.Module:
        """The backbone, always with the same weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return BACKBONES[self.name](**self.arguments)

    def classifier(self, cls: Any = CapsuleClassifier) -> nn.Module:
        """The backbone under a capsule head, or an ordinary one."""
        backbone, known = self.backbone(), self.arguments
        four = (known["spatial_dims"], known["in_channels"], CLASSES, known["input_size"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            return cls(*four, backbone=backbone)

    def images(self, batch: int = 2) -> Tensor:
        """Images with values of 0 to 1."""
        shape = (batch, self.arguments["in_channels"], *self.arguments["input_size"])
        return torch.rand(shape, generator=torch.Generator().manual_seed(5))


def cases(name: str, options: Mapping[str, Any] | None = None) -> list[Case]:
    """The backbone in 2D and 3D; without those that it refuses by its argument spatial_dims."""
    given = dict(getattr(BACKBONES[name], "example", {}) if options is None else options)
    axes = [given["spatial_dims"]] if "spatial_dims" in given else list(SIZES)
    found = [Case(name, number, given) for number in axes]
    return [case for case in found if not _refused(case)] or found[:1]


def is_built_from_the_three_arguments(case: Case) -> None:
    """It is built from spatial_dims, in_channels and input_size."""
    assert isinstance(case.backbone(), nn.Module), "expected a torch.nn.Module"


def gives_features_that_a_head_can_use(case: Case) -> None:
    """It gives a feature map, a list of maps, or tokens, of a single image too."""
    backbone, known = case.backbone(), case.arguments
    attach(case.backbone(), known["in_channels"], known["input_size"], locations=1)
    for batch in (1, 3):
        for features in _levels(backbone.eval(), case.images(batch)):
            shape = list(features.shape)
            assert shape[0] == batch, f"expected features of {batch} images, got shape {shape}"


def treats_a_sample_alike_whatever_its_batch(case: Case) -> None:
    """In evaluation an image's features do not depend on the rest of its batch."""
    backbone, images = case.backbone().eval(), case.images(3)
    with torch.no_grad():
        alone = [_levels(backbone, image.unsqueeze(0)) for image in images]
        for number, features in enumerate(_levels(backbone, images)):
            joined = torch.cat([levels[number] for levels in alone])
            assert_close(features, joined, atol=1e-4, rtol=1e-4)


def lets_a_gradient_through(case: Case) -> None:
    """A finite gradient reaches its parameters and the image."""
    backbone, images = case.backbone().train(), case.images(2).requires_grad_()
    totals = [features.square().sum() for features in _levels(backbone, images)]
    torch.stack(totals).sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0, "none reaches the image"
    found = [p.grad for p in backbone.parameters() if p.grad is not None]
    assert found or not list(backbone.parameters()), "none reaches the parameters"
    assert all(gradient.isfinite().all() for gradient in found), "a gradient is not finite"


def carries_a_capsule_head(case: Case) -> None:
    """Under the capsule head of ``capsule_classifier`` it gives class scores and learns."""
    network = case.classifier().train()
    scores = network(case.images(2))
    assert list(scores.shape) == [2, CLASSES], f"got shape {list(scores.shape)}"
    nn.functional.cross_entropy(scores, torch.tensor([0, 2])).backward()
    learns = [name for name, p in network.named_parameters() if p.grad is not None]
    inside = [name for name in learns if name.startswith("backbone.")]
    assert inside or not list(case.backbone().parameters()), "the backbone does not learn"


def carries_an_ordinary_head(case: Case) -> None:
    """Under the ordinary head of ``backbone_classifier`` it gives class scores."""
    scores = case.classifier(BackboneClassifier).eval()(case.images(1))
    assert list(scores.shape) == [1, CLASSES], f"got shape {list(scores.shape)}"


def is_its_weights(case: Case) -> None:
    """Its state_dict, loaded into a new one, gives the same features."""
    first, second = case.backbone(), BACKBONES[case.name](**case.arguments)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        found, expected = (_levels(part.eval(), case.images()) for part in (second, first))
    assert_close(found, expected, atol=0, rtol=0)


def exports_with_any_batch(case: Case) -> None:
    """Under the capsule head ``torch.export`` with a dynamic batch agrees at sizes not seen."""
    network = case.classifier().eval()
    shapes = ({0: torch.export.Dim("batch")},)
    with torch.no_grad():
        program = torch.export.export(network, (case.images(3),), dynamic_shapes=shapes).module()
        for batch in (1, 4):
            images = case.images(batch)
            assert_close(program(images), network(images), atol=1e-4, rtol=1e-4)


CHECKS: Sequence[Callable[[Case], None]] = (
    is_built_from_the_three_arguments,
    gives_features_that_a_head_can_use,
    treats_a_sample_alike_whatever_its_batch,
    lets_a_gradient_through,
    carries_a_capsule_head,
    carries_an_ordinary_head,
    is_its_weights,
    exports_with_any_batch,
)


def _levels(backbone: nn.Module, images: Tensor) -> list[Tensor]:
    return [features for features in as_levels(backbone(images)) if isinstance(features, Tensor)]


def _refused(case: Case) -> bool:
    try:
        case.backbone()
    except ValueError as error:
        return "spatial_dims" in str(error)
    except Exception:  # the first check tells it
        return False
    return False
