"""Every registered backbone under the contract that plugins' backbones are held to."""

import pytest

from capsmed.networks import BACKBONES
from capsmed.plugins.contracts import backbone as contract
from capsmed.plugins.contracts.backbone import Case
from tests.networks.small_backbones import OPTIONS

CASES = [case for name in sorted(BACKBONES) for case in contract.cases(name, OPTIONS[name])]


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.kind}")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of MONAI
def test_backbone_contract(check, case: Case) -> None:
    check(case)
