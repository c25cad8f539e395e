"""Every registered loss under the contract that plugins' losses are held to."""

import pytest

from capsmed.losses import LOSSES
from capsmed.plugins.contracts import loss as contract
from capsmed.plugins.contracts.loss import Case

CASES = [case for name in sorted(LOSSES) for case in contract.cases(name)]


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.kind}")
def test_loss_contract(check, case: Case) -> None:
    check(case)
