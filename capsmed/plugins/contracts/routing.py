"""What every routing keeps, in capsule layers of every kind, in 2D and 3D.

Each check is a function of a `Case` and raises `AssertionError` where the routing breaks it; its
docstring's first line says what is checked. Those that a routing's declarations rule out return
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.testing import assert_close

from capsmed.networks.layers import CapsuleConv, lengths
from capsmed.networks.registry import Routing
from capsmed.plugins.contracts.recording import FormedVotes, RecordingVotes
from capsmed.plugins.contracts.routed import HIGHER, IN_DIM, KINDS, OUT_DIM, TYPES, Routed


@dataclass(frozen=True)
class Case:
    """A registered routing in one kind of layer."""

    name: str
    kind: str

    @property
    def cls(self) -> Any:
        """The routing's class."""
        return Routing[self.name]

    def layer(self, dtype: torch.dtype = torch.float32, /, **options: Any) -> Routed:
        """A layer with this routing and random transforms, always the same ones."""
        return self._routed(IN_DIM, OUT_DIM, dtype, options)

    def small_layer(self, **options: Any) -> Routed:
        """The same of few numbers in float64, for numerical gradients."""
        return self._routed(2, 2, torch.float64, options)

    def _routed(self, in_dim: int, out_dim: int, dtype: torch.dtype, options: Any) -> Routed:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return Routed(self.kind, self.name, in_dim, out_dim, **options).to(dtype)

    def inputs(self, layer: Routed, batch: int = 2) -> tuple[Tensor, ...]:
        """Random poses, and activations where the routing needs them."""
        generator = torch.Generator().manual_seed(5 + batch)
        dtype, dim = layer.weight.dtype, layer.weight.shape[2]
        poses = torch.randn(batch, layer.lower, dim, dtype=dtype, generator=generator)
        if not self.cls.needs_activations:
            return (poses,)
        return poses, torch.rand(batch, layer.lower, dtype=dtype, generator=generator)


def gives_a_pose_and_an_activation_for_each_higher_capsule(case: Case) -> None:
    """A pose and an activation for each higher capsule, in any batch."""
    layer = case.layer()
    for batch in (1, 2, 19):
        poses, activations = layer(*case.inputs(layer, batch))
        higher = HIGHER * (_windows(layer) or 1)
        assert poses.shape == (batch, higher, OUT_DIM), f"poses: got {list(poses.shape)}"
        assert activations.shape == (batch, higher), f"activations: got {list(activations.shape)}"


def treats_a_sample_alike_whatever_its_batch(case: Case) -> None:
    """A sample's result does not depend on the rest of its batch."""
    layer = case.layer()
    inputs = case.inputs(layer, 6)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            together = layer(*inputs)
            alone = [layer(*(x[k : k + 1] for x in inputs)) for k in range(6)]
        for part in (0, 1):
            joined = torch.cat([result[part] for result in alone])
            assert_close(together[part], joined, atol=1e-5, rtol=1e-5)


def stays_finite_on_zero_input(case: Case) -> None:
    """Value and gradient are finite on zero input."""
    layer = case.layer()
    zeros = [torch.zeros_like(x).requires_grad_() for x in case.inputs(layer)]
    poses, activations = layer(*zeros)
    (poses.sum() + activations.sum()).backward()
    assert poses.isfinite().all() and activations.isfinite().all(), "a value is not finite"
    for tensor in (*zeros, *layer.parameters()):
        assert tensor.grad is None or tensor.grad.isfinite().all(), "a gradient is not finite"


def shares_out_as_it_declares(case: Case) -> None:
    """Couplings sum to one over the axis that the routing declares.

    Where windows compete, what a lower capsule gives sums to one over all that it lies in.
    """
    over = case.cls.normalised_over
    layer = case.layer()
    for couplings in _recorded(case, layer).passes if over else ():
        shared = over == "out" and KINDS[case.kind].competition == "map"
        total = couplings.sum(1 if over == "out" else 2)
        if shared:
            total = _over_windows(total, layer)
        assert_close(total, torch.ones_like(total), atol=1e-5, rtol=0)


def makes_as_many_passes_as_it_says(case: Case) -> None:
    """``votes.mix`` is called as often as ``passes`` says."""
    for iterations in (1, 2, 5) if case.cls.iterative else (None,):
        options: dict[str, Any] = {} if iterations is None else {"iterations": iterations}
        layer = case.layer(**options)
        made, said = len(_recorded(case, layer).passes), layer.routing.passes
        assert made == said, f"{made} calls of votes.mix, passes says {said}"
        assert iterations in (None, said), f"iterations={iterations}, passes says {said}"


def full_gradient_passes_gradcheck(case: Case) -> None:
    """The full gradient equals a numerical one in float64."""
    layer = case.small_layer(**_full(case))
    inputs = tuple(x.requires_grad_() for x in case.inputs(layer, 1))
    weight = layer.weight.detach().clone().requires_grad_()

    def call(weight: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.functional_call(layer, {"layer.weight": weight}, inputs)

    assert torch.autograd.gradcheck(call, (weight, *inputs), fast_mode=case.kind != "linear")


def full_gradient_equals_that_over_formed_votes(case: Case) -> None:
    """The full gradient equals plain automatic differentiation over formed votes."""
    layer = case.layer(torch.float64, **_full(case))
    poses, *rest = case.inputs(layer)
    poses.requires_grad_()
    lean = _gradients(layer.routing(layer.votes(poses, *rest)), poses, layer.weight)
    votes = FormedVotes(layer.votes(poses, *rest))
    dense = _gradients(layer.routing(votes), poses, layer.weight)
    assert_close(lean, dense, atol=1e-9, rtol=1e-9)


def last_gradient_holds_the_couplings(case: Case) -> None:
    """The last gradient is that of one pass with the final couplings held constant."""
    if not case.cls.iterative:
        return
    layer = case.layer(torch.float64, gradient="last")
    poses, *rest = case.inputs(layer)
    poses.requires_grad_()
    lean = _gradients(layer.routing(layer.votes(poses, *rest)), poses, layer.weight)
    votes = layer.votes(poses, *rest)
    with torch.no_grad():
        couplings = layer.routing.couplings(votes)
    held = _gradients(layer.routing.settle(FormedVotes(votes), couplings), poses, layer.weight)
    assert_close(lean, held, atol=1e-10, rtol=1e-10)


def last_and_full_gradients_differ(case: Case) -> None:
    """The last and the full gradient are not the same."""
    if not case.cls.iterative:
        return
    found = []
    for gradient in ("last", "full"):
        layer = case.layer(torch.float64, gradient=gradient)
        found.append(_gradients(layer(*case.inputs(layer)), layer.weight)[0])
    largest = (found[0] - found[1]).abs().max() / found[1].abs().max()
    assert largest > 1e-6, "both gradients are the same"


def last_gradient_survives_compilation(case: Case) -> None:
    """The gradient is the same under ``torch.compile``."""
    layer = case.layer()
    inputs = case.inputs(layer)
    eager = _gradients(layer(*inputs), layer.weight)
    compiled = _gradients(torch.compile(layer, backend="eager")(*inputs), layer.weight)
    assert_close(compiled, eager, atol=1e-5, rtol=1e-4)


def activations_are_lengths_unless_defined(case: Case) -> None:
    """Activations are the poses' lengths, or defined by the routing and within 0 to 1."""
    layer = case.layer()
    poses, activations = layer(*case.inputs(layer))
    if not case.cls.defines_activations:
        assert_close(activations, lengths(poses), atol=1e-6, rtol=1e-6)
    assert 0 <= activations.min() and activations.max() <= 1, "an activation is not within 0 to 1"


def computes_in_float32_under_autocast(case: Case) -> None:
    """Under bfloat16 autocast it computes in float32 and stays within 2e-2."""
    layer = case.layer()
    poses, *rest = case.inputs(layer)
    expected = layer(poses, *rest)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(poses.bfloat16(), *rest)
        (found[0].sum() + found[1].sum()).backward()
    kinds = {found[0].dtype, found[1].dtype, layer.weight.grad.dtype}  # type: ignore[union-attr]
    assert kinds == {torch.float32}, f"expected float32 throughout, got {kinds}"
    assert_close(found, expected, atol=2e-2, rtol=2e-2)
    assert_close(found, layer(poses.bfloat16().float(), *rest), atol=1e-5, rtol=1e-5)


def goes_backward_inside_autocast(case: Case) -> None:
    """A backward pass inside autocast gives gradients of the parameters' type."""
    for gradient in ("last", "full") if case.cls.iterative else (None,):
        options: dict[str, Any] = {} if gradient is None else {"gradient": gradient}
        layer = case.layer(**options)
        inputs = case.inputs(layer)
        expected = _gradients(layer(*inputs), layer.weight)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = _gradients(layer(*inputs), layer.weight)
        assert_close(inside, expected, atol=2e-2, rtol=2e-2)  # compares types too


def exports_with_any_batch(case: Case) -> None:
    """``torch.export`` with a dynamic batch agrees at sizes not seen, without custom functions."""
    layer = case.layer().eval()
    for grad in (True, False) if case.kind == "linear" else (False,):
        example = case.inputs(layer, 3)
        batch = {0: torch.export.Dim("batch")}
        shapes = (batch, batch if len(example) > 1 else None)
        inputs = (*example, None)[:2]
        with torch.set_grad_enabled(grad):
            program = torch.export.export(layer, inputs, dynamic_shapes=shapes)
        targets = {str(node.target) for node in program.graph.nodes}
        foreign = [name for name in targets if "autograd_function" in name or "copy_" in name]
        assert not foreign, f"the exported graph holds {foreign}"
        _agree(program.module(), layer, case)


def agrees_when_traced(case: Case) -> None:
    """A TorchScript trace agrees at batch sizes not seen."""
    layer = case.layer().eval()
    _agree(torch.jit.trace(layer, case.inputs(layer, 3)), layer, case, padded=False)


CHECKS: Sequence[Callable[[Case], None]] = (
    gives_a_pose_and_an_activation_for_each_higher_capsule,
    treats_a_sample_alike_whatever_its_batch,
    stays_finite_on_zero_input,
    shares_out_as_it_declares,
    makes_as_many_passes_as_it_says,
    full_gradient_passes_gradcheck,
    full_gradient_equals_that_over_formed_votes,
    last_gradient_holds_the_couplings,
    last_and_full_gradients_differ,
    last_gradient_survives_compilation,
    activations_are_lengths_unless_defined,
    computes_in_float32_under_autocast,
    goes_backward_inside_autocast,
    exports_with_any_batch,
    agrees_when_traced,
)


def cases(name: str) -> list[Case]:
    """The routing ``name`` in every kind of layer."""
    return [Case(name, kind) for kind in KINDS]


def _agree(other: Any, layer: Routed, case: Case, padded: bool = True) -> None:
    for batch in (1, 2, 17):
        inputs = case.inputs(layer, batch)
        given = (*inputs, None)[:2] if padded else inputs
        assert_close(other(*given), layer(*inputs), atol=1e-5, rtol=1e-5)


def _full(case: Case) -> dict[str, str]:
    return {"gradient": "full"} if case.cls.iterative else {}


def _windows(layer: Routed) -> int:
    convolution = isinstance(layer.layer, CapsuleConv)
    return layer.layer.fields(layer.grid).count if convolution else 0  # type: ignore[operator]


def _recorded(case: Case, layer: Routed) -> RecordingVotes:
    votes = RecordingVotes(layer.votes(*case.inputs(layer)))
    layer.routing(votes)
    return votes


def _over_windows(given: Tensor, layer: Routed) -> Tensor:
    """What lower capsules give in each window, ``[batch x windows, in]``, summed over windows."""
    index = layer.layer.fields(layer.grid).index(given.device)  # type: ignore[operator]
    parts = given.unflatten(0, (-1, len(index))).unflatten(2, (TYPES, -1)).transpose(1, 2)
    locations = torch.Size(layer.grid).numel()
    total = given.new_zeros(*parts.shape[:2], locations)
    return total.index_add(2, index.flatten(), parts.flatten(2))


def _gradients(result: tuple[Tensor, Tensor], *wanted: Tensor) -> tuple[Tensor, ...]:
    """Gradients of a sum in which every number weighs differently."""
    total = result[0].new_zeros(())
    for part in result:
        weights = torch.linspace(-1, 1, part.numel(), dtype=part.dtype).view_as(part)
        total = total + (part * weights).sum()
    return torch.autograd.grad(total, wanted)
