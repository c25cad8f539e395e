"""Every registered routing, held to the contract that it declares, in 2D and 3D."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from capsmed.networks import BaseRouting, Routing, register
from capsmed.plugins.contracts import routing as contract
from capsmed.plugins.contracts.routing import Case


class Selfish(BaseRouting):
    """Takes the softmax over the higher capsules of a window without asking the votes."""

    normalised_over = "out"
    reference = "none"

    def couplings(self, votes):
        batch, lower, _ = votes.poses.shape
        return votes.poses.new_zeros(batch, votes.out_capsules, lower).softmax(1)

    def settle(self, votes, couplings):
        poses = votes.mix(couplings)
        return poses, poses.norm(dim=-1)


NAMES = sorted(name.lower() for name in Routing.names)
CASES = [case for name in NAMES for case in contract.cases(name)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.kind}")
@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript
def test_routing_contract(check, case):
    check(case)


def test_dynamic_routing_sums_to_one_over_outputs_and_not_over_inputs():
    case = Case("dynamic", "linear")
    layer = case.layer()
    couplings = layer.routing.couplings(layer.votes(*case.inputs(layer)))
    assert Routing["dynamic"].normalised_over == "out"
    assert (couplings.sum(2) - 1).abs().min() > 0.1


def test_a_routing_that_shares_out_by_itself_breaks_it_where_windows_compete():
    try:
        register("selfish", Selfish)
        contract.shares_out_as_it_declares(Case("selfish", "2D convolution"))
        with pytest.raises(AssertionError, match="not close"):
            contract.shares_out_as_it_declares(Case("selfish", "2D map"))
    finally:
        Routing.components.pop("SELFISH", None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_traced_and_saved_every_routing_runs_where_capsmed_is_not(tmp_path):
    script = Path(__file__).with_name("run_without_capsmed.py")
    expected = {}
    for name in NAMES:
        case = Case(name, "linear")
        layer = case.layer().eval()
        torch.jit.trace(layer, case.inputs(layer, 3)).save(tmp_path / f"{name}.pt")
        torch.save(case.inputs(layer, 5), tmp_path / f"{name}.in")
        expected[name] = layer(*case.inputs(layer, 5))
    subprocess.run([sys.executable, script, tmp_path, *NAMES], check=True, timeout=600)
    for name in NAMES:
        found = torch.load(tmp_path / f"{name}.out")
        torch.testing.assert_close(found, expected[name], atol=1e-5, rtol=1e-5)
