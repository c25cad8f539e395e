"""Every registered backbone under the contract that plugins' backbones are held to."""

import pytest

from capsmed.networks import BACKBONES
from capsmed.plugins.contracts import backbone as contract
from capsmed.plugins.contracts.backbone import Case

#: Options of a small backbone, where the defaults take long.
SMALL = {
    "densenet121": {"init_features": 4, "growth_rate": 2, "block_config": [1, 1, 1, 1]},
    "swin": {"feature_size": 6, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2]},
    "vit": {"hidden_size": 12, "mlp_dim": 8, "num_layers": 2, "num_heads": 2},
    "segresnet": {"blocks_down": [1, 1, 1]},
}
CASES = [case for name in sorted(BACKBONES) for case in contract.cases(name, SMALL.get(name))]


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.kind}")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of MONAI
def test_backbone_contract(check, case: Case) -> None:
    check(case)
