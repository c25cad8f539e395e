"""Every registered routing, held to the contract that it declares."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from capsmed.networks import CapsuleLinear, DenseVotes, Routing, squash
from tests.networks.recording import RecordingVotes
from tests.reference.dynamic_loop import dynamic_routing
from tests.reference.uniform_loop import uniform_routing

BATCH = 2
SIZES = LOWER, HIGHER, IN_DIM, OUT_DIM = 11, 3, 5, 7

#: The plain loop of each algorithm: votes, iterations -> poses. A new routing adds its own.
REFERENCES = {"DYNAMIC": dynamic_routing, "UNIFORM": uniform_routing}
NAMES = sorted(Routing.names)
ITERATIVE = [name for name in NAMES if Routing[name].iterative]

every = pytest.mark.parametrize("name", NAMES)
iterative = pytest.mark.parametrize("name", ITERATIVE)


def layer(name: str, dtype: torch.dtype = torch.float32, sizes=SIZES, **options) -> CapsuleLinear:
    return CapsuleLinear(*sizes, routing=(name, options), init_scale=0.3).to(dtype)


def inputs(name: str, batch: int = BATCH, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    poses = torch.randn(batch, LOWER, IN_DIM, dtype=dtype)
    activations = (torch.rand(batch, LOWER, dtype=dtype),)
    return (poses, *(activations if Routing[name].needs_activations else ()))


def recorded(routed: CapsuleLinear, poses: Tensor, *activations: Tensor) -> RecordingVotes:
    votes = RecordingVotes(poses, routed.weight, *activations)
    routed.routing(votes)
    return votes


@every
def test_has_a_plain_loop_to_be_compared_with(name):
    assert name in REFERENCES


@every
@pytest.mark.parametrize("batch", [1, 2, 19])
def test_gives_a_pose_and_an_activation_for_each_higher_capsule(name, batch):
    poses, activations = layer(name)(*inputs(name, batch))
    assert poses.shape == (batch, HIGHER, OUT_DIM)
    assert activations.shape == (batch, HIGHER)


@every
@pytest.mark.parametrize("grad", [True, False])
def test_treats_a_sample_alike_whatever_its_batch(name, grad):
    routed, batch = layer(name), inputs(name, 6)
    with torch.set_grad_enabled(grad):
        together = routed(*batch)[0]
        alone = torch.cat([routed(*(x[k : k + 1] for x in batch))[0] for k in range(6)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


@every
def test_stays_finite_on_zero_input_in_value_and_gradient(name):
    routed, zeros = layer(name), [torch.zeros_like(x).requires_grad_() for x in inputs(name)]
    poses, activations = routed(*zeros)
    (poses.sum() + activations.sum()).backward()
    assert poses.isfinite().all() and activations.isfinite().all()
    assert all(x.grad.isfinite().all() for x in (*zeros, routed.weight))


@every
def test_couplings_sum_to_one_over_the_declared_axis(name):
    routed = layer(name)
    axis = {"out": 1, "in": 2, None: None}[routed.routing.normalised_over]
    for couplings in recorded(routed, *inputs(name)).passes if axis else ():
        torch.testing.assert_close(couplings.sum(axis), torch.ones_like(couplings.sum(axis)))


def test_dynamic_routing_sums_to_one_over_outputs_and_not_over_inputs():
    couplings = recorded(layer("dynamic"), *inputs("dynamic")).passes[-1]
    assert Routing["dynamic"].normalised_over == "out"
    assert (couplings.sum(2) - 1).abs().min() > 0.1


@every
@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_makes_as_many_passes_as_it_says(name, iterations):
    options = {"iterations": iterations} if name in ITERATIVE else {}
    passes = recorded(layer(name, **options), *inputs(name)).passes
    assert len(passes) == (iterations if name in ITERATIVE else 1)


@iterative
def test_full_gradient_passes_gradcheck(name):
    # fewer lower capsules: the numerical gradient takes two calls a number
    routed = layer(name, torch.float64, (5, 3, 2, 2), gradient="full")
    poses, rest = torch.randn(2, 5, 2, dtype=torch.float64), inputs(name, dtype=torch.float64)[1:]
    weight = routed.weight.detach().clone().requires_grad_()

    def call(poses: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        few = (x[:, :5] for x in rest)
        return torch.func.functional_call(routed, {"weight": weight}, (poses, *few))

    assert torch.autograd.gradcheck(call, (poses.requires_grad_(), weight))


@iterative
def test_full_gradient_equals_plain_autograd_over_formed_votes(name):
    routed = layer(name, torch.float64, gradient="full")
    poses, *rest = inputs(name, dtype=torch.float64)
    lean = gradients(routed(poses.requires_grad_(), *rest)[0], poses, routed.weight)
    votes = DenseVotes(torch.einsum("bid,jedi->bije", poses, routed.weight), poses, *rest)
    dense = gradients(routed.routing(votes)[0], poses, routed.weight)
    torch.testing.assert_close(lean, dense, atol=1e-10, rtol=0)


@iterative
def test_last_gradient_is_that_of_one_pass_with_the_final_couplings_held(name):
    routed = layer(name, torch.float64, gradient="last")
    poses, *rest = inputs(name, dtype=torch.float64)
    lean = gradients(routed(poses.requires_grad_(), *rest)[0], poses, routed.weight)
    votes = recorded(routed, poses, *rest)
    held = torch.einsum("bji,bije->bje", votes.passes[-1].detach(), votes.dense())
    expected = gradients(squash(held), poses, routed.weight)
    torch.testing.assert_close(lean, expected, atol=1e-10, rtol=0)


@iterative
def test_last_gradient_stays_the_same_under_torch_compile(name):
    routed, example = layer(name), inputs(name)
    eager = gradients(routed(*example)[0], routed.weight)
    compiled = gradients(torch.compile(routed, backend="eager")(*example)[0], routed.weight)
    torch.testing.assert_close(compiled, eager, atol=1e-6, rtol=1e-5)


@iterative
def test_last_and_full_gradients_differ(name):
    poses, *rest = inputs(name, dtype=torch.float64)
    last, full = layer(name, torch.float64), layer(name, torch.float64, gradient="full")
    full.load_state_dict(last.state_dict())
    one, other = (gradients(x(poses.requires_grad_(), *rest)[0], x.weight) for x in (last, full))
    assert (one[0] - other[0]).abs().max() > 1e-3


def gradients(poses: Tensor, *wanted: Tensor) -> tuple[Tensor, ...]:
    """Gradients of a sum in which every component weighs differently."""
    weights = torch.linspace(-1, 1, poses.numel(), dtype=poses.dtype).view_as(poses)
    return torch.autograd.grad((poses * weights).sum(), wanted)


@every
@pytest.mark.parametrize("grad", [True, False])
def test_equals_the_plain_loop(name, grad):
    routed, batch = layer(name), inputs(name)
    with torch.set_grad_enabled(grad):
        poses, activations = routed(*batch)
    votes = RecordingVotes(*batch[:1], routed.weight).dense().detach().numpy()
    expected = REFERENCES[name](votes, *(x.numpy() for x in batch[1:]))
    np.testing.assert_allclose(poses.detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("iterations", [1, 2, 4])
def test_dynamic_routing_equals_the_loop_with_bias_and_any_number_of_passes(iterations):
    routed, (poses,) = layer("dynamic", iterations=iterations, bias=True), inputs("dynamic")
    votes = RecordingVotes(poses, routed.weight).dense().detach().numpy()
    expected = dynamic_routing(votes, iterations, bias=0.1)
    np.testing.assert_allclose(routed(poses)[0].detach().numpy(), expected, atol=1e-5)


@every
def test_activations_are_the_lengths_of_the_poses_unless_defined_otherwise(name):
    poses, activations = layer(name)(*inputs(name))
    if not Routing[name].needs_activations:
        torch.testing.assert_close(activations, poses.norm(dim=-1))


@every
def test_computes_in_float32_under_bfloat16_autocast(name):
    routed, (poses, *rest) = layer(name), inputs(name)
    expected = routed(poses, *rest)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        routed_poses, activations = routed(poses.bfloat16(), *rest)
        activations.sum().backward()
    assert routed_poses.dtype == activations.dtype == routed.weight.grad.dtype == torch.float32
    torch.testing.assert_close(routed_poses, expected, atol=2e-2, rtol=0)
    exact = routed(poses.bfloat16().float(), *rest)[0]
    torch.testing.assert_close(routed_poses, exact, atol=1e-6, rtol=0)


@iterative
@pytest.mark.parametrize("gradient", ["last", "full"])
def test_a_backward_pass_inside_autocast_gives_gradients_of_the_parameters_type(name, gradient):
    routed, example = layer(name, gradient=gradient), inputs(name)
    expected = gradients(routed(*example)[0], routed.weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = gradients(routed(*example)[0], routed.weight)
    torch.testing.assert_close(inside, expected, atol=2e-2, rtol=0)  # compares dtypes too


@every
@pytest.mark.parametrize("grad", [True, False])
def test_exports_with_a_batch_size_of_any_kind(name, grad):
    routed, example = layer(name).eval(), inputs(name, 3)
    shapes = [{0: torch.export.Dim("batch")}] * len(example)
    with torch.set_grad_enabled(grad):
        exported = torch.export.export(routed, example, dynamic_shapes=shapes).module()
    for batch in (1, 2, 17):
        unseen = inputs(name, batch)
        torch.testing.assert_close(exported(*unseen), routed(*unseen), atol=1e-5, rtol=0)


@every
def test_exports_without_custom_functions_or_chunks(name):
    exported = torch.export.export(layer(name), inputs(name, 64))
    targets = {str(node.target) for node in exported.graph.nodes}
    assert not [target for target in targets if "copy" in target or "autograd_function" in target]


@every
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_traced_and_saved_it_runs_where_capsmed_is_not(name, tmp_path):
    routed, example, unseen = layer(name).eval(), inputs(name, 3), inputs(name, 5)
    torch.jit.trace(routed, example).save(tmp_path / "model.pt")
    torch.save(unseen[0], tmp_path / "in.pt")
    script = Path(__file__).with_name("run_without_capsmed.py")
    files = [tmp_path / part for part in ("model.pt", "in.pt", "out.pt")]
    subprocess.run([sys.executable, script, *files], check=True, timeout=120)
    torch.testing.assert_close(torch.load(files[2]), routed(*unseen), atol=1e-5, rtol=0)
